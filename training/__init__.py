"""How the weights in ``onepass/gaze/data`` were made.

The package renders eyes, trains an ELG network on them, exports it to ONNX and measures it on real eyes. It is not
part of the installed library and needs PyTorch; ``README.md`` beside this file lists the commands.
"""
