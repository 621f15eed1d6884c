"""Linked views: pure functions from a search result to HoloViews figures in CSS pixels. No panel here.

`matches`, `domains`, `scores`, `ranges` and `query` hold a figure each: a frozen layout in CSS pixels, a function that
draws it, and one of the same name with `_data` that returns its columns. `live.Live` sends such columns to a figure
that is on the screen. Below them: `theme`, `text`, `outline`, `tiles`, `groups`, `marks`, and the element
`patches.Patches`.
"""
