"""Classes of ImageNet (ILSVRC 2012), by index, whose pictures show no people.

The groups are WordNet's (classes are its synsets), without what people ride, wear, carry, sit or
lie on: about half of the photographs of such things show people.
"""

from __future__ import annotations

#: The first 398 classes, from tench to puffer, are exactly the animals.
ANIMALS = tuple(range(398))

#: Motor vehicles with at least four wheels, and rail vehicles. Not go-karts, golf carts and
#: snowmobiles, whose riders are visible, nor parts of cars.
VEHICLES = {
    407: "ambulance",
    408: "amphibian",
    436: "beach wagon",
    466: "bullet train",
    468: "cab",
    511: "convertible",
    547: "electric locomotive",
    555: "fire engine",
    561: "forklift",
    565: "freight car",
    569: "garbage truck",
    586: "half track",
    595: "harvester",
    609: "jeep",
    627: "limousine",
    654: "minibus",
    656: "minivan",
    661: "Model T",
    675: "moving van",
    705: "passenger car",
    717: "pickup",
    734: "police van",
    751: "racer",
    757: "recreational vehicle",
    779: "school bus",
    803: "snowplow",
    817: "sports car",
    820: "steam locomotive",
    829: "streetcar",
    847: "tank",
    856: "thresher",
    864: "tow truck",
    866: "tractor",
    867: "trailer truck",
    874: "trolleybus",
}

#: Furniture for storing or placing things, and large household appliances.
FURNITURE = {
    453: "bookcase",
    493: "chiffonier",
    495: "china cabinet",
    526: "desk",
    532: "dining table",
    534: "dishwasher",
    548: "entertainment center",
    553: "file",
    648: "medicine chest",
    736: "pool table",
    760: "refrigerator",
    827: "stove",
    846: "table lamp",
    894: "wardrobe",
    897: "washer",
}

#: All of them, in ascending order.
NOBODY = (*ANIMALS, *sorted({**VEHICLES, **FURNITURE}))
