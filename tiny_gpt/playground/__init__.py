"""The playground: one page in which pretrained networks are asked and read.

`python -m tiny_gpt.playground build/playground.html` builds it.
"""
