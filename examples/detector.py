"""A detector's four outputs, with non-maximum suppression inside the model: python -m examples.detector [FOLDER].

Most YOLO exports for TensorRT end in its plugin EfficientNMS_TRT. ONNX's own NonMaxSuppression does the same
everywhere. This example builds only the end of such a network, in both ways, with the same output names.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

import onepass

OUTPUTS = ("num_dets", "det_boxes", "det_scores", "det_classes")
"""The number of boxes kept per picture; their corners, scores and classes, best first."""

_PLAIN = """<ir_version: 9, opset_import: ["" : 17]>
detector (float[1, B, 4] boxes, float[1, B, C] logits)
    => (int64[1] num_dets, float[K, 4] det_boxes, float[K] det_scores, int64[K] det_classes)
<int64 most = {20}, float overlap = {0.5}, float least = {0.25}, int64[1] first = {0}, int64 one = {1}, int64 two = {2}>
{
    scores = Sigmoid (logits)
    by_class = Transpose <perm = [0, 2, 1]> (scores)
    kept = NonMaxSuppression (boxes, by_class, most, overlap, least)
    found = GatherND (by_class, kept)
    num_dets = Shape (found)
    det_scores, order = TopK (found, num_dets)
    ordered = Gather (kept, order)
    box = Gather <axis = 1> (ordered, two)
    det_classes = Gather <axis = 1> (ordered, one)
    all = Squeeze (boxes, first)
    det_boxes = Gather (all, box)
}"""


def plain() -> onepass.OnnxGraph:
    """Return the end of a detector with ONNX's own operator, for one picture: one row per kept box."""
    return onepass.OnnxGraph(onnx.parser.parse_model(_PLAIN))


def plugin(classes: int = 2, most: int = 20) -> onepass.OnnxGraph:
    """Return the end of a detector with TensorRT's plugin, for any batch: `most` rows, `num_dets` of them valid."""
    suppress = helper.make_node(
        "EfficientNMS_TRT", ["boxes", "scores"], OUTPUTS, domain="TRT", plugin_version="1", background_class=-1,
        box_coding=0, iou_threshold=0.5, score_threshold=0.25, max_output_boxes=most, score_activation=0,
    )  # fmt: skip
    rests = {"num_dets": [1], "det_boxes": [most, 4], "det_scores": [most], "det_classes": [most]}
    kinds = {name: TensorProto.INT32 if name in ("num_dets", "det_classes") else TensorProto.FLOAT for name in OUTPUTS}
    graph = helper.make_graph(
        [helper.make_node("Sigmoid", ["logits"], ["scores"]), suppress],
        "detector",
        [helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", "B", 4]),
         helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", "B", classes])],
        [helper.make_tensor_value_info(name, kinds[name], ["N", *rests[name]]) for name in OUTPUTS],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("TRT", 1)]
    return onepass.OnnxGraph(helper.make_model(graph, opset_imports=opsets, ir_version=9))


def boxes(seed: int = 0) -> dict[str, np.ndarray]:
    """Return six boxes for one picture, two of them nearly equal, and their logits for two classes."""
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(0, 100, (5, 2, 2)), axis=1).reshape(5, 4)
    corners = np.concatenate([corners, corners[:1] + 0.1])[None]
    return {"boxes": corners.astype(np.float32), "logits": rng.normal(0, 2, (1, 6, 2)).astype(np.float32)}


def main(folder: str = ".") -> None:
    """Run on ONNX Runtime and, if TensorRT and a GPU are available, as an engine."""
    with onepass.load(plain()) as session:
        show("ONNX Runtime", session(boxes()))
    engine = Path(folder) / "detector.engine"
    try:
        onepass.build(plugin(), engine, batch=1, sizes={"B": (1, 6, 1000)})
        with onepass.load(engine) as session:
            show("TensorRT", session(boxes()))
    except onepass.OnepassError as error:
        print(f"no engine: {str(error).splitlines()[0]}")


def show(name: str, outputs: onepass.Outputs) -> None:
    """Print the kept boxes, best first; a box may be kept in several classes."""
    count = int(outputs["num_dets"].reshape(-1)[0])
    scores, classes = (outputs[each].reshape(-1)[:count] for each in ("det_scores", "det_classes"))
    print(f"{name}: {count} left, classes {classes.tolist()}, scores {', '.join(f'{each:.2f}' for each in scores)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
