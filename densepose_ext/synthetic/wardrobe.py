"""Clothes and hair: the regions of the body they cover, their distance from it, their colours.

Clothes are the body's own mesh pushed out along its normals, with the labels of the body beneath.
Regions are level sets of smooth fields over the body (height, position along arm and leg), so that
hems are clean lines at any resolution.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from ..surface.body import OpenBody
from .texture import Solid, any_colour, cloth, cloth_colour, solid_noise

SKIN = np.array(
    [
        [250, 222, 200], [241, 205, 177], [224, 172, 138], [198, 134, 96], [165, 105, 70],
        [120, 76, 50], [84, 54, 40], [58, 38, 30],
    ],
    np.float32,
)  # fmt: skip
HAIR = np.array(
    [
        [22, 18, 17], [40, 28, 20], [60, 40, 25], [105, 74, 42], [150, 105, 60], [205, 172, 112],
        [130, 128, 125], [215, 212, 205], [150, 75, 40],
    ],
    np.float32,
)  # fmt: skip

_HAT_RATES = {"none": 0.78, "cap": 0.1, "beanie": 0.06, "helmet": 0.06}

#: Mean distance of cloth from the body from which it counts as loose, metres.
LOOSE = 0.01

#: Heights that a swimwear top covers on the mean body, metres.
_BUST = (0.37, 0.52)

#: Lower border of the hair on the mean head: depth y and height z, metres.
_HAIRLINE = np.array(
    [[-0.2, 0.93], [-0.145, 0.918], [-0.115, 0.905], [-0.092, 0.868], [-0.07, 0.848],
     [-0.035, 0.815], [0.0, 0.775], [0.08, 0.755]]
)  # fmt: skip


@dataclass(frozen=True)
class Fields:
    """Smooth fields over the vertices of the mean body, each (V,).

    Attributes:
        place: (V, 3) the vertices, float32.
        arm: position along the arm: 0 shoulder, 1 elbow, 2 wrist, above 2 hand; -1 off the arms.
        leg: position along the leg: 0 hip, 1 knee, 2 ankle, above 2 foot; -1 off the legs.
        head: 1 on head and neck, 0 elsewhere.
        hair: height above the hairline, metres; negative on the face and off the head.
    """

    place: np.ndarray
    arm: np.ndarray
    leg: np.ndarray
    head: np.ndarray
    hair: np.ndarray

    @cached_property
    def stacked(self) -> np.ndarray:
        """(V, 7): place, arm, leg, head, hair."""
        return np.concatenate(
            [self.place, np.stack([self.arm, self.leg, self.head, self.hair], 1)], 1
        ).astype(np.float32)


@lru_cache(maxsize=1)
def body_fields() -> Fields:
    """The fields of the open body."""
    body = OpenBody.load()
    place = body.vertices
    x, y, z = np.abs(place[:, 0]), place[:, 1], place[:, 2]
    weights = body.skinning
    names = np.array([n.split(".")[0].rstrip("0123456789-") for n in body.joint_names])

    def share(*stems):
        return np.asarray(weights[:, np.flatnonzero(np.isin(names, stems))].sum(1)).ravel()

    def along(*joints):
        points = [body.joints[body.joint(f"{j}.L")] for j in joints]
        mirrored = place * np.where(place[:, :1] < 0, [-1, 1, 1], 1)
        way = np.zeros(len(place))
        for k, (a, b) in enumerate(pairwise(points)):
            t = (mirrored - a) @ (b - a) / ((b - a) @ (b - a))
            low = -1 if k == 0 else 0
            way += np.clip(t, low, 1 if k < len(points) - 2 else 2)
        return way

    on_arm = share("upperarm", "lowerarm", "wrist", "metacarpal", "finger")
    on_leg = share("upperleg", "lowerleg", "foot", "toe")
    arm = on_arm * along("upperarm01", "lowerarm01", "wrist") - (1 - on_arm)
    leg = on_leg * along("upperleg01", "lowerleg01", "foot") - (1 - on_leg)
    head = share("head", "neck", "eye")
    hair = z - np.interp(y, _HAIRLINE[:, 0], _HAIRLINE[:, 1])
    ear = (x > 0.071) & (y > -0.085) & (y < -0.02) & (z > 0.79) & (z < 0.875)
    hair = np.where(ear, -0.03, hair)
    hair = np.where(head > 0.5, hair, -0.2)
    return Fields(place.astype(np.float32), arm, leg, head, hair)


def _step(field: np.ndarray, at: float, width: float) -> np.ndarray:
    """Smooth step from 0 to 1 as the field passes ``at``."""
    t = np.clip((field - at) / width + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


@dataclass
class Outfit:
    """Everything one person wears.

    Attributes:
        skin, hair, shoe, hat: (3,) colours, sRGB 0 to 255.
        top, bottom, inner: cloth; the inner one shows where the top is open.
        sleeve, hem: where sleeves and trousers end, positions along arm and leg as in ``Fields``.
        waist: border of top and bottom, height z in metres.
        neckline: depth of the neckline, metres.
        open_front, swimwear, barefoot, gloves, glasses: whether the person wears it so.
        hat_kind: "none", "cap", "beanie" or "helmet".
        hair_kind: "short", "medium", "long", "tail", "bun", "shaved" or "bald".
        beard, lipstick: strength, 0 to 1.
        top_off, bottom_off, hair_off: distance of cloth and hair from the body, metres.
        skirt: length of a skirt along the leg: 1 reaches the knee, 2 the ankle; 0: none.
        seeds: (6,) of noise and of details.
    """

    skin: np.ndarray
    top: Solid
    bottom: Solid
    inner: Solid
    hair: np.ndarray
    shoe: np.ndarray
    hat: np.ndarray
    sleeve: float
    waist: float
    neckline: float
    hem: float
    open_front: bool
    swimwear: bool
    barefoot: bool
    gloves: bool
    hat_kind: str
    hair_kind: str
    beard: float
    glasses: bool
    lipstick: float
    top_off: float
    bottom_off: float
    hair_off: float
    skirt: float
    seeds: np.ndarray

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Outfit":
        """A random outfit, by season and occasion, independent of the body."""
        tone = np.sort(rng.integers(0, len(SKIN), 2))
        mix = rng.random()
        skin = SKIN[tone[0]] * mix + SKIN[min(tone[0] + 1, len(SKIN) - 1)] * (1 - mix)
        kind = rng.choice(["tshirt", "long", "tank", "jacket", "dress", "bare"],
                          p=[0.36, 0.25, 0.09, 0.2, 0.07, 0.03])  # fmt: skip
        sleeve = {
            "tshirt": rng.uniform(0.35, 0.95), "long": rng.uniform(1.6, 2.05),
            "tank": -0.1, "jacket": rng.uniform(1.85, 2.08), "dress": rng.choice([-0.1, 0.5, 1.9]),
            "bare": -2.0,
        }[kind]  # fmt: skip
        hem = rng.choice([2.1, 2.0, 1.75, 1.05, 0.8, 0.45], p=[0.45, 0.14, 0.06, 0.13, 0.12, 0.1])
        skirt = 0.0
        if kind == "dress" or rng.random() < 0.08:
            skirt, hem = rng.uniform(0.35, 1.7), 0.05
        top, bottom = cloth(rng), cloth(rng)
        if kind == "dress" or rng.random() < 0.08:
            bottom = top
        hair_kind = rng.choice(["short", "medium", "long", "tail", "bun", "shaved", "bald"],
                               p=[0.36, 0.15, 0.19, 0.1, 0.07, 0.08, 0.05])  # fmt: skip
        return cls(
            skin=np.clip(skin * rng.uniform(0.9, 1.05) + rng.normal(0, 4, 3), 10, 255),
            top=top,
            bottom=bottom,
            inner=cloth(rng),
            hair=np.clip(HAIR[rng.integers(len(HAIR))] * rng.uniform(0.75, 1.2), 5, 255),
            shoe=cloth_colour(rng),
            hat=any_colour(rng),
            sleeve=float(sleeve),
            waist=float(rng.uniform(0.1, 0.23) if kind != "jacket" else rng.uniform(0.02, 0.16)),
            neckline=float(rng.uniform(0.0, 0.06) if kind != "tank" else rng.uniform(0.05, 0.12)),
            hem=float(hem),
            open_front=bool(kind == "jacket" and rng.random() < 0.6),
            swimwear=kind == "bare",
            barefoot=bool(rng.random() < (0.5 if kind == "bare" else 0.06)),
            gloves=bool(rng.random() < 0.05),
            hat_kind=str(rng.choice(list(_HAT_RATES), p=list(_HAT_RATES.values()))),
            hair_kind=str(hair_kind),
            beard=float(rng.uniform(0.3, 0.85) if rng.random() < 0.16 else 0),
            glasses=bool(rng.random() < 0.14),
            lipstick=float(rng.uniform(0.2, 0.7)),
            top_off=float(rng.choice([rng.uniform(0.001, 0.006), rng.uniform(0.006, 0.026)])
                          + (0.008 if kind == "jacket" else 0)),
            bottom_off=float(rng.choice([rng.uniform(0.001, 0.005), rng.uniform(0.005, 0.022)])),
            hair_off=float(
                {"short": rng.uniform(0.006, 0.03), "medium": rng.uniform(0.015, 0.045),
                 "long": rng.uniform(0.012, 0.03), "tail": 0.01, "bun": 0.01, "shaved": 0.001,
                 "bald": 0.0}[str(hair_kind)]
            ),
            skirt=float(skirt),
            seeds=rng.integers(0, 2**31, 6),
        )  # fmt: skip

    def words(self) -> list[str]:
        """What the person wears.

        Returns:
            "tight" or "loose"; "swimwear"; "open jacket"; "no sleeves", "short sleeves" or "long
            sleeves"; "short skirt", "long skirt" (at least to the knee), "shorts" or "trousers";
            "cap", "beanie" or "helmet"; "gloves"; "glasses"; "barefoot".
        """
        top = 0.0 if self.swimwear else self.top_off
        found = ["loose" if max(top, self.bottom_off) > LOOSE else "tight"]
        if self.swimwear:
            found.append("swimwear")
        else:
            elbow = self.sleeve < 1
            found.append(
                "no sleeves" if self.sleeve < 0 else f"{'short' if elbow else 'long'} sleeves"
            )
        if self.skirt:
            found.append("long skirt" if self.skirt >= 1 else "short skirt")
        else:
            found.append("shorts" if self.hem < 1.5 else "trousers")
        if self.hat_kind != "none":
            found.append(self.hat_kind)
        worn = {
            "open jacket": self.open_front,
            "gloves": self.gloves,
            "glasses": self.glasses,
            "barefoot": self.barefoot,
        }
        return [*found, *(word for word, there in worn.items() if there)]

    def _noise(self, k: int, scale: float):
        return solid_noise(np.random.default_rng(self.seeds[k]), scale)

    def strands(self, place: np.ndarray) -> np.ndarray:
        """Brightness (n,) of single strands of hair at positions (n, 3)."""
        rng = np.random.default_rng(self.seeds[2])
        return solid_noise(rng, 320, waves=9, upright=0.08)(place)

    def offsets(self, fields: Fields) -> np.ndarray:
        """Offset (V,) of each vertex along its normal, metres."""
        place, z = fields.place, fields.place[:, 2]
        loose = 1 + 0.45 * self._noise(0, 9)(place) + 0.25 * self._noise(1, 30)(place)
        body = (fields.head < 0.5).astype(float)
        trunk = body * _step(-fields.arm, 0.0, 0.3) * _step(-fields.leg, 0.2, 0.6)
        sleeve = _step(-fields.arm, -self.sleeve, 0.06) * _step(fields.arm, -0.7, 0.3)
        top = np.maximum(trunk * _step(z, self.waist, 0.02), sleeve) * body
        top *= _step(0.70 - self.neckline - z, 0.0, 0.05)
        legs = _step(fields.leg, -0.9, 0.4) * _step(-fields.leg, -self.hem, 0.08)
        bottom = np.maximum(trunk * _step(-z, -self.waist, 0.02), legs) * body
        offset = np.zeros(len(place))
        if not self.swimwear:
            offset = np.maximum(offset, top * (0.002 + self.top_off * np.clip(loose, 0.15, 2.2)))
        offset = np.maximum(offset, bottom * (0.002 + self.bottom_off * np.clip(loose, 0.15, 2.2)))
        if self.hat_kind == "none":
            puff = np.clip(1 + 0.35 * self._noise(2, 22)(place), 0.3, 1.8)
            offset = np.maximum(offset, self.hair_off * puff * _step(fields.hair, 0.008, 0.035))
        else:
            high = {"cap": 0.885, "beanie": 0.87, "helmet": 0.83}[self.hat_kind]
            thick = {"cap": 0.014, "beanie": 0.014, "helmet": 0.035}[self.hat_kind]
            rim = high + (0.02 if self.hat_kind == "cap" else 0.0) * (place[:, 1] < -0.05)
            worn = _step(z - rim, 0.0, 0.012)
            if self.hat_kind == "helmet":
                worn = np.maximum(worn, _step(fields.hair, 0.0, 0.02) * _step(z, 0.79, 0.02))
            offset = np.maximum(offset, thick * worn * (fields.head > 0.5))
        if not self.barefoot:
            offset = np.maximum(offset, 0.007 * _step(fields.leg, 1.97, 0.1))
        return offset

    def colour(self, f: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Colours (n, 3) at positions with fields f (n, 7), and the share of cloth in each (n,)."""
        place, arm, leg, head, hair = f[:, :3], f[:, 3], f[:, 4], f[:, 5] > 0.5, f[:, 6]
        x, y, z = np.abs(place[:, 0]), place[:, 1], place[:, 2]
        colour = self.skin * (1 + 0.04 * self._noise(3, 25)(place))[:, None]
        on_head = np.flatnonzero(head)
        colour[on_head] = self._head_colour(colour[on_head], place[on_head], hair[on_head])
        trunk = ~head & (arm < 0) & (leg < 0.25)
        cloth_mask = np.zeros(len(f), bool)

        below = ~head & (((z <= self.waist) & trunk) | ((leg > -0.6) & (leg < self.hem)))
        below &= arm < 0.2
        colour[below] = self.bottom(place[below])
        collar = 0.70 - self.neckline * np.clip(1 - x / 0.09, 0, 1) - 0.25 * np.clip(x - 0.08, 0, 1)
        collar = np.where(y > -0.03, 0.715, collar)
        above = ~head & (z > self.waist) & (z < collar) & (leg < 0.3) & (arm < self.sleeve)
        if self.sleeve < 0:
            above &= (x < 0.135) & (arm < -0.1)
        if self.swimwear:
            above = trunk & (z > _BUST[0]) & (z < _BUST[1])
        colour[above] = self.top(place[above])
        if self.open_front:
            gap = above & (x < 0.02 + 0.12 * np.clip(z - 0.15, 0, 1)) & (y < -0.02) & (arm < 0)
            colour[gap] = self.inner(place[gap])
        belt = ~head & (np.abs(z - self.waist) < 0.014) & trunk & (self.seeds[4] % 3 == 0)
        colour[belt] = self.shoe * 0.6
        cloth_mask |= above | below
        if not self.barefoot:
            foot = leg > 2.0
            colour[foot] = self.shoe
            sole = foot & (z < -0.798)
            colour[sole] = 235 - 0.6 * self.shoe if self.seeds[5] % 2 else self.shoe * 0.4
            cloth_mask |= foot
        if self.gloves:
            colour[arm > 2.0] = self.hat
        return np.clip(colour, 0, 255), cloth_mask

    def _head_colour(self, colour, place, hair) -> np.ndarray:
        """Colours (n, 3) of the head, with hair, hat, brows, eyes, lips and beard over the skin."""
        x, y, z = np.abs(place[:, 0]), place[:, 1], place[:, 2]
        front = y < -0.085
        blush = front & (np.hypot(x - 0.042, z - 0.81) < 0.022)
        colour[blush] *= [1.04, 0.94, 0.93]
        if self.beard:
            jaw = front & (z < 0.79) & (z > 0.715) | (z < 0.765) & (z > 0.72) & (y < -0.06)
            jaw |= front & (np.abs(z - 0.797) < 0.008) & (x < 0.03)
            colour[jaw] = (1 - self.beard) * colour[jaw] + self.beard * self.hair
        lip = front & (y < -0.12) & (np.abs(z - 0.780) < 0.0085 - 0.12 * x) & (x < 0.026)
        colour[lip] = self.skin * [0.88, 0.6, 0.58] * (1.1 - 0.3 * self.lipstick)
        brow = (
            front & (np.abs(z - 0.877 + 4 * (x - 0.035) ** 2) < 0.0042) & (x > 0.013) & (x < 0.055)
        )
        colour[brow] = 0.35 * colour[brow] + 0.65 * self.hair * 0.8
        dx, dz = x - 0.0302, z - 0.8533
        eye = front & (np.abs(dz) < 0.0068 * np.clip(1 - (dx / 0.0165) ** 2, 0, 1))
        colour[eye] = [228, 224, 220]
        iris = eye & (np.hypot(dx, dz) < 0.0062)
        colour[iris] = [62, 44, 32] if self.seeds[0] % 4 else [90, 120, 140]
        colour[iris & (np.hypot(dx, dz) < 0.0028)] = 12
        lash = front & (np.abs(dz - 0.0075 * np.clip(1 - (dx / 0.018) ** 2, 0, 1)) < 0.0014)
        colour[lash & (np.abs(dx) < 0.017)] *= 0.45
        nostril = front & (y < -0.135) & (np.hypot(x - 0.0085, (z - 0.8035) * 1.6) < 0.0042)
        colour[nostril] *= 0.5
        if self.hair_kind != "bald":
            strands = 1 + 0.16 * self.strands(place)
            line = 0.012 * self._noise(1, 60)(place)
            scalp = hair + line * (self.hair_kind != "shaved") > 0.006
            tone = self.hair * strands[:, None]
            strength = 0.55 if self.hair_kind == "shaved" else 1.0
            colour[scalp] = (1 - strength) * colour[scalp] + strength * tone[scalp]
        if self.glasses:
            ring = np.hypot(dx, dz * 1.15)
            frame = front & ((np.abs(ring - 0.021) < 0.0032) | ((x < 0.011) & (np.abs(dz) < 0.003)))
            colour[frame & (y < -0.1)] = [24, 22, 24]
            if self.seeds[1] % 3 == 0:
                colour[front & (ring < 0.019)] = [28, 28, 34]
        if self.hat_kind != "none":
            high = {"cap": 0.885, "beanie": 0.87, "helmet": 0.83}[self.hat_kind]
            rim = high + (0.02 if self.hat_kind == "cap" else 0.0) * (y < -0.05)
            worn = z > rim
            if self.hat_kind == "helmet":
                worn = (z > 0.89) | ((hair > 0) & (z > 0.79))
            colour[worn] = self.hat * (1 + 0.03 * self._noise(1, 200)(place[worn]))[:, None]
        return colour
