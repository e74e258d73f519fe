#include "sites.h"

#include <mutex>
#include <set>

#include "report.h"

namespace lelkern::emulation {
namespace {

std::mutex mutex;
std::string without;
std::set<std::string> met;

}  // namespace

bool watching = false;

void watch_sites(bool on, const std::string& one) {
    watching = on;
    without = one;
    met.clear();
}

bool meet_site(const Site& site) {
    const std::string name = place(site);
    const std::lock_guard<std::mutex> lock(mutex);
    met.insert(name);
    return name == without;
}

std::string sites_met() {
    const std::lock_guard<std::mutex> lock(mutex);
    std::string text;
    for (const std::string& name : met) text += name + "\n";
    return text;
}

}  // namespace lelkern::emulation
