"""What rounding explains of the errors of the contrastive losses."""


def slope_bound(similarity: float, beta: float, spread: float, eps: float) -> float:
    """Return by how much the derivative of a loss by beta = 1 / temperature may be off.

    It is sum_j P_ij (s_ij - s_i), where s_i is the (mean) similarity of the positives. Similarities
    that are off by e move the difference by 2 e, and P by 2 beta e of it; sums of some dozens of
    terms are off by as many half units in the last place of these, which the spread bounds. Nothing
    of it is an error of a similarity's own size: rows may be nearly equal.

    Args:
        similarity: what each similarity is off by.
        beta: 1 / temperature.
        spread: the largest difference of two similarities.
        eps: of the type that is computed in.
    """
    return 2 * similarity * (1 + beta * spread) + 32 * eps * spread
