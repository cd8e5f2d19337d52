"""Write small LIF files as the format's public descriptions say: an XML tree in UTF-16, then blocks of pixels."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CODES = {"x": 1, "y": 2, "z": 3, "t": 4, "l": 5, "m": 10}


@dataclass(frozen=True)
class WrittenImage:
    """An image to write: values along `axes` (slow first, ``c`` among them), and lengths in metres, first to last."""

    name: str
    values: np.ndarray
    axes: str
    lengths: dict[str, float]
    luts: tuple[str, ...] = ("Green",)
    tags: tuple[int, ...] = ()

    def xml(self, block: str) -> str:
        steps = dict(zip(self.axes, self.values.strides, strict=True))
        sizes = dict(zip(self.axes, self.values.shape, strict=True))
        bits = self.values.itemsize * 8
        kind = int(self.values.dtype.kind == "f")
        channels = "".join(
            f'<ChannelDescription DataType="{kind}" ChannelTag="{self.tags[c] if self.tags else 0}" '
            f'Resolution="{bits}" NameOfMeasuredQuantity="" Min="0" Max="1" Unit="" LUTName="{lut}" '
            f'IsLUTInverted="0" BytesInc="{c * steps.get("c", 0)}" BitInc="0"/>'
            for c, lut in enumerate(self.luts)
        )
        axes = "".join(
            f'<DimensionDescription DimID="{CODES[a]}" NumberOfElements="{sizes[a]}" Origin="0" '
            f'Length="{self.lengths.get(a, 0.0)}" Unit="{"s" if a == "t" else "m"}" '
            f'BitInc="0" BytesInc="{steps[a]}"/>'
            for a in reversed(self.axes)
            if a != "c"
        )
        return (
            f'<Element Name="{self.name}"><Memory Size="{self.values.nbytes}" MemoryBlockID="{block}"/><Data><Image>'
            f"<ImageDescription><Channels>{channels}</Channels><Dimensions>{axes}</Dimensions></ImageDescription>"
            f"</Image></Data><Children/></Element>"
        )


def write_lif(path: Path, images: list[WrittenImage]) -> Path:
    """Write a file of these images, the last in a folder of its own."""
    described = [image.xml(f"MemBlock_{i}") for i, image in enumerate(images)]
    folder = f'<Element Name="plate"><Memory Size="0" MemoryBlockID=""/><Children>{described[-1]}</Children></Element>'
    tree = "".join(described[:-1]) + folder
    xml = (
        f'<LMSDataContainerHeader Version="2"><Element Name="project.lif"><Memory Size="0" MemoryBlockID=""/>'
        f"<Children>{tree}</Children></Element></LMSDataContainerHeader>"
    )
    out = struct.pack("<IIBI", 0x70, 2 * len(xml) + 5, 0x2A, len(xml)) + xml.encode("utf-16-le")
    for i, image in enumerate(images):
        name, data = f"MemBlock_{i}", image.values.tobytes()
        head = struct.pack("<IIBQBI", 0x70, 2 * len(name) + 14, 0x2A, len(data), 0x2A, len(name))
        out += head + name.encode("utf-16-le") + data
    path.write_bytes(out)
    return path
