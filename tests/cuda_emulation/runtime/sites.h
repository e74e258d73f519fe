// The barriers and waits of kernels by their lines: which ran, and one to leave out as if its line
// were not there. A detector that says nothing then would not have seen a forgotten one either.
#pragma once

#include <string>

#include "cuda_emulation_warp.h"

namespace lelkern::emulation {

extern bool watching;

void watch_sites(bool on, const std::string& without);
bool meet_site(const Site& site);

// Whether the caller, a barrier or a wait, is to do nothing.
inline bool left_out(const Site& site) { return watching && meet_site(site); }

// Those that ran while they were watched: "file:line", one a line.
std::string sites_met();

}  // namespace lelkern::emulation
