# SPDX-License-Identifier: Apache-2.0
"""Ways to get structure posteriors from an image, and other programs' results as ours."""
