# SPDX-License-Identifier: Apache-2.0
"""How the figures of the group level are drawn."""
