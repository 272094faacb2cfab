"""The pages a change advisory board works with: HTML from the same answers, no JavaScript needed.

Takes the journal and the history, gives pages; every figure of a chart is also text or a cell.
"""
