// Images cut into pieces along the borders of boxes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

namespace lelkern::mixup {

struct Box {
    int64_t top, left, height, width;
};

// Whether a box is within an image of so many pixels; no sum is taken, which may be no number.
inline bool is_within(const Box& box, int64_t height, int64_t width) {
    return box.top >= 0 && box.left >= 0 && box.height >= 0 && box.width >= 0 &&
           box.height <= height - box.top && box.width <= width - box.left;
}

// An image as a row: `planes` times height x width pixels, each of `inner` numbers side by side.
struct ImageShape {
    int64_t planes, height, width, inner;
};

// std::sort would do, but GCC 12 warns of what it does to more numbers than there are.
inline void sort_few(int64_t* numbers, int count) {
    for (int i = 1; i < count; ++i) {
        for (int k = i; k > 0 && numbers[k] < numbers[k - 1]; --k) {
            std::swap(numbers[k], numbers[k - 1]);
        }
    }
}

// Calls f(begin, end, inside) for pieces that make up a row; bit k of `inside` says whether one is
// inside of boxes[k]. No piece is of two planes.
template <int count, typename F>
void for_each_piece(const ImageShape& image, const Box (&boxes)[count], const F& f) {
    int64_t lines[2 * count + 2] = {0, image.height};
    for (int k = 0; k < count; ++k) {
        lines[2 + 2 * k] = boxes[k].top;
        lines[3 + 2 * k] = boxes[k].top + boxes[k].height;
    }
    sort_few(lines, 2 * count + 2);
    for (int64_t plane = 0; plane < image.planes; ++plane) {
        for (int band = 0; band < 2 * count + 1; ++band) {
            const int64_t first = lines[band], last = lines[band + 1];
            if (first == last) continue;
            const auto meets = [&](const Box& box) {
                return box.top <= first && last <= box.top + box.height && box.width > 0;
            };
            int64_t columns[2 * count + 2] = {0, image.width};
            int borders = 2;
            for (const Box& box : boxes) {
                if (!meets(box)) continue;
                columns[borders++] = box.left;
                columns[borders++] = box.left + box.width;
            }
            sort_few(columns, borders);
            borders = static_cast<int>(std::unique(columns, columns + borders) - columns);
            // Lines that are one piece each are one together.
            const int64_t step = borders == 2 ? last - first : 1;
            for (int64_t line = first; line < last; line += step) {
                const int64_t start = (plane * image.height + line) * image.width;
                for (int c = 0; c + 1 < borders; ++c) {
                    int inside = 0;
                    for (int k = 0; k < count; ++k) {
                        const bool within = boxes[k].left <= columns[c] &&
                                            columns[c + 1] <= boxes[k].left + boxes[k].width;
                        if (within && meets(boxes[k])) inside |= 1 << k;
                    }
                    const int64_t end = borders == 2 ? step * image.width : columns[c + 1];
                    f((start + columns[c]) * image.inner, (start + end) * image.inner, inside);
                }
            }
        }
    }
}

}  // namespace lelkern::mixup
