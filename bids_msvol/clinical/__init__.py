# SPDX-License-Identifier: Apache-2.0
"""The clinical course: events of disability on clinical scales, relapses, and no evidence of disease activity."""
