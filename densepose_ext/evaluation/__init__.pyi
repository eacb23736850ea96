from .evaluator import DensePoseCOCOEvaluator as DensePoseCOCOEvaluator
from .evaluator import DensePoseEvaluator as DensePoseEvaluator
from .instances import InstanceEvaluator as InstanceEvaluator
from .people import GroundTruth as GroundTruth
from .results import Results as Results
from .results import write_results as write_results
from .scorecard import Scorecard as Scorecard
