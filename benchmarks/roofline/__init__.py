"""Compare what int8 kernels reach with what a CPU's instructions allow."""
