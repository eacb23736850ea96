"""s1x: 130k iterations of 16 images, the learning rate of .01 divided by 10 at 100k and 120k."""

from detectron2.config import LazyCall as L
from detectron2.model_zoo import get_config
from detectron2.solver import WarmupParamScheduler
from fvcore.common.param_scheduler import MultiStepParamScheduler

MAX_ITER = 130000

optimizer = get_config("common/optim.py").SGD
optimizer.lr = 0.01

lr_multiplier = L(WarmupParamScheduler)(
    scheduler=L(MultiStepParamScheduler)(
        values=[1.0, 0.1, 0.01], milestones=[100000, 120000, MAX_ITER]
    ),
    warmup_length=1000 / MAX_ITER,
    warmup_method="linear",
    warmup_factor=0.1,
)

train = get_config("common/train.py").train
train.max_iter = MAX_ITER
