// Which candidate a row should recognise, in the contrastive losses.
#pragma once

namespace lelkern::contrastive {

enum class Positives {
    paired,    // row i: row i + N or i - N
    aligned,   // row i: column i
    given,     // one more candidate that is no column
    labelled,  // every other row with its label
};

}  // namespace lelkern::contrastive
