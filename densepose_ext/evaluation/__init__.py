"""Scores of dense pose: GPS, GPSm and mask AP, and where on the body they are lost."""

from .evaluator import DensePoseCOCOEvaluator, DensePoseEvaluator
from .people import GroundTruth
from .results import Results, write_results
from .scorecard import Scorecard
