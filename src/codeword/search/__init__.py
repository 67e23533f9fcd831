"""Search in codes, without decoding them."""

from codeword.search.bars import ErrorBars as ErrorBars
from codeword.search.index import Index as Index
from codeword.search.result import RangeResult as RangeResult
from codeword.search.result import SearchResult as SearchResult
from codeword.search.store import open_index as open_index
