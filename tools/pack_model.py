"""Makes a training checkpoint into a model of the zoo.

    python tools/pack_model.py output/model_final.pth densepose_rcnn_EffLite0_FPN_synth

The weights go to densepose_ext/model_zoo/assets in half precision. The card beside them is written
by hand, with the scores of `train_net.py --eval-only`.
"""

import argparse
from pathlib import Path

from densepose_ext import get_config_file
from densepose_ext.model_zoo import pack

ASSETS = Path(__file__).parents[1] / "densepose_ext" / "model_zoo" / "assets"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("checkpoint")
    parser.add_argument("name", help="of the config, without .yaml")
    arguments = parser.parse_args()
    get_config_file(f"{arguments.name}.yaml")  # fails if there is no such config
    path = ASSETS / f"{arguments.name}.pth"
    print(f"{path}: {pack(arguments.checkpoint, path) / 1e6:.2f} MB")
