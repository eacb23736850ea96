#!/usr/bin/env python
"""Trains and tests a dense pose model, with Detectron2's command line.

    python train_net.py --config-file configs/densepose_rcnn_R_50_FPN_s1x.yaml --num-gpus 8
    python train_net.py --config-file ... --resume
    python train_net.py --config-file ... --eval-only MODEL.WEIGHTS model_final.pth

Ctrl-C stops after the current iteration; --resume continues from the last checkpoint, to the same
weights as an uninterrupted run. SOLVER.CHECKPOINT_SECONDS 60.0 writes a checkpoint every minute.
On a machine without a GPU, add MODEL.DEVICE cpu; --num-gpus is then the number of processes.
"""

import os
import sys

from densepose_ext import DensePoseTrainer, load_config  # first: importing Detectron2 warns

# isort: split
from detectron2.engine import default_argument_parser, default_setup, hooks
from detectron2.evaluation import verify_results
from detectron2.utils import comm
from torch.multiprocessing import ProcessExitedException

from densepose_ext.engine.checkpoint import DensePoseCheckpointer, check_weights
from densepose_ext.engine.launch import check_backend, launch
from densepose_ext.engine.output_folder import check_writable
from densepose_ext.processes.messages import one_line
from densepose_ext.processes.notices import hide_notices


def main(args):
    cfg = load_config(args.config_file, args.opts)
    default_setup(cfg, args)

    if args.eval_only:
        model = DensePoseTrainer.build_model(cfg)
        checkpointer = DensePoseCheckpointer(model, save_dir=cfg.OUTPUT_DIR)
        try:
            checkpointer.resume_or_load(cfg.MODEL.WEIGHTS, resume=args.resume)
        except (OSError, ValueError) as error:  # not a checkpoint, or one of another model
            refuse(error)
        results = DensePoseTrainer.test(cfg, model)
        if cfg.TEST.AUG.ENABLED:
            results.update(DensePoseTrainer.test_with_TTA(cfg, model))
        if comm.is_main_process():
            verify_results(cfg, results)
        return results

    try:
        trainer = DensePoseTrainer(cfg)
        trainer.resume_or_load(resume=args.resume)
    except (OSError, ValueError) as error:  # of files, folders, datasets, checkpoints
        refuse(error)
    if cfg.TEST.AUG.ENABLED:
        trainer.register_hooks(
            [hooks.EvalHook(0, lambda: trainer.test_with_TTA(cfg, trainer.model))]
        )
    return trainer.train()


def refuse(error: Exception) -> None:
    print(f"train_net.py: error: {one_line(error)}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    hide_notices()
    args = default_argument_parser(epilog=__doc__).parse_args()
    try:
        cfg = load_config(args.config_file, args.opts)
        check_writable(cfg.OUTPUT_DIR)
        if not args.resume:  # else a checkpoint may replace MODEL.WEIGHTS
            check_weights(cfg.MODEL.WEIGHTS)
    except (OSError, ValueError) as error:
        refuse(error)
    if cfg.MODEL.DEVICE == "cpu":
        # Detectron2's launcher requires a GPU per process if it sees any.
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # Windows has no empty variables
    try:
        check_backend(args.num_gpus * args.num_machines)
    except ValueError as error:
        refuse(error)
    try:
        launch(
            main,
            args.num_gpus,
            num_machines=args.num_machines,
            machine_rank=args.machine_rank,
            dist_url=args.dist_url,
            args=(args,),
        )
    except KeyboardInterrupt as stop:  # the message says how to resume
        print(f"train_net.py: {str(stop) or 'interrupted'}", file=sys.stderr)
        sys.exit(130)
    except ProcessExitedException as error:
        print(f"train_net.py: {error}", file=sys.stderr)
        sys.exit(max(error.exit_code, 1))
