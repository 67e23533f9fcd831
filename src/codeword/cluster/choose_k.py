"""Another name of `choosing`, for imports of its parts by it; `from codeword.cluster import choose_k` is the function."""

from codeword.cluster.choosing import CRITERIA as CRITERIA
from codeword.cluster.choosing import STABLE as STABLE
from codeword.cluster.choosing import Choice as Choice
from codeword.cluster.choosing import choose_k as choose_k
