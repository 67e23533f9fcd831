"""Customer segmentation: purchases or a table of customers in, segments that people can read out. Needs the extra `cluster`.

table --columns, values--> Features (n, d) --scaling--> rows --KMeans--> centres (k, d) --naming, profile--> page
"""

from codeword.cluster.segments.model import Segments as Segments

__all__ = ["Segments"]
