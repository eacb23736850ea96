from .run import teach
from .write import write_annotations, write_targets
