"""Real-ESRGAN's networks against the same networks run as their package runs them, in one run: ratios, memory, seams.

python -m performance.real_esrgan [speed] [loading] [estimates] [memory] [request] [seams] [gpu] [SET5]

All parts, or those that are named; SET5 is a folder with HR and LR_bicubic/X4, for what precision costs. The RRDB
network's parameters are random: what a convolution costs does not depend on them. The compact networks' are looked for
in UPSCALE_WEIGHTS_DIR. With ONEDNN_MAX_CPU_ISA=AVX512_CORE a processor with AMX is measured as one without.
"""
