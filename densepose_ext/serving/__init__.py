"""A local page and a JSON API that find people in pictures: ``densepose-ext serve``."""
