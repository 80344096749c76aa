"""The colours of every picture: any eye tells them apart."""

# Texts and lines of the axes. A page may put its own ink in the place of this colour, which nothing else has.
INK = "#1b1f24"
# Okabe and Ito's colours (their black is the ink); vermilion is kept for what needs attention.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#999999", INK, "#F0E442")
ALERT = "#D55E00"
