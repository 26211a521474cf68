# SPDX-License-Identifier: GPL-2.0
"""Hosts of a test as network namespaces of one guest; shared with bench and demo."""
