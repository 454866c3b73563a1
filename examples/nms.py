"""Outputs with data-dependent sizes, from non-maximum suppression inside the model: python -m examples.nms [FILE]."""

import sys

import numpy as np
import onnx

import onepass

_TEXT = """<ir_version: 9, opset_import: ["" : 17]>
detector (float[1, B, 4] boxes, float[1, C, B] scores) => (int64[K, 3] kept, float[1, C] best)
<int64 most = {10}, float overlap = {0.5}, float least = {0.25}> {
    kept = NonMaxSuppression (boxes, scores, most, overlap, least)
    best = ReduceMax <axes = [2], keepdims = 0> (scores)
}"""


def main(path: str = "nms.onnx") -> None:
    """Make the model, and run it on boxes of which many, few and none are kept."""
    onepass.OnnxGraph(onnx.parser.parse_model(_TEXT)).save(path)
    corners = np.array([[0, 0, 1, 1], [0, 0, 1, 0.9], [2, 2, 3, 3]], np.float32)[None]
    with onepass.load(path) as session:
        for confidences in ([0.9, 0.8, 0.7], [0.9, 0.1, 0.1], [0.1, 0.1, 0.1]):
            outputs = session(boxes=corners, scores=np.array(confidences, np.float32)[None, None])
            print(f"{len(outputs['kept'])} of 3 boxes kept: {outputs['kept'][:, 2].tolist()}, best {outputs['best']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
