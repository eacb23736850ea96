"""How many processes to use, and how to start ones that need neither torch nor Detectron2."""
