#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Run a command with the workspace sourced.
set -e
# shellcheck disable=SC1091  # made by colcon in the image
source /workspace/install/setup.bash
exec "$@"
