"""Search in codes, without decoding them."""

from codeword.search.bars import ErrorBars as ErrorBars
from codeword.search.index import Index as Index
from codeword.search.index import SearchResult as SearchResult
from codeword.search.index import open_index as open_index
