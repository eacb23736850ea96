"""The types that everything in the package passes around."""

from .annotations import ABSENT, DensePoseAnnotation, DensePoseAnnotationList
from .outputs import DensePoseEmbeddingOutput, DensePoseOutput, MeshesOfPeople
from .results import DensePoseResult, Person, VertexResult
from .storage import owned
