"""Files: one container for everything that is saved, a JSON header and named arrays in checksummed blocks.

`write` and `open_container` are the container itself (`docs/format.md` is its normative text); `save` and `load` put
fitted quantizers, transforms and pipelines into it. Nothing in a file is ever executed.
"""

from codeword.io.model import load as load
from codeword.io.model import save as save
from codeword.io.reader import Container as Container
from codeword.io.reader import open_container as open_container
from codeword.io.replace import replacing as replacing
from codeword.io.writer import write as write
