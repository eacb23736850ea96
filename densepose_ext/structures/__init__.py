"""The data types that the rest of the package passes around."""

from .annotations import ABSENT, DensePoseAnnotation, DensePoseAnnotationList
from .outputs import DensePoseEmbeddingOutput, DensePoseOutput, MeshesOfPeople
from .results import DensePoseResult, Person, VertexResult
from .storage import owned
