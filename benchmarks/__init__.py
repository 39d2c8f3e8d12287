# SPDX-License-Identifier: Apache-2.0
"""How good and how fast the program is: one module for each claim, on real and synthetic heads."""
