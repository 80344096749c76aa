"""The colours of every picture, which people with any colour vision can tell apart."""

# For texts and the lines of axes, and for nothing else: a page may replace this colour by its own ink.
INK = "#1b1f24"
# Okabe and Ito's colours (their black is the ink), without vermilion, which is for what needs attention.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#999999", INK, "#F0E442")
ALERT = "#D55E00"
