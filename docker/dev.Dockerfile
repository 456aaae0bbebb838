# Not yet built; checked with hadolint.
# SPDX-License-Identifier: Apache-2.0
#
# An environment for development, with ROS 2 from apt; the code stays outside. From the repository's root:
#
#     docker build --file docker/dev.Dockerfile --tag pear_ros:dev .
#     docker run --rm -it --user "$(id -u):$(id -g)" --env HOME=/tmp --volume "$PWD:/pear_ros" pear_ros:dev make test
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-base

SHELL ["/bin/bash", "-o", "pipefail", "-c"]

WORKDIR /tmp/dependencies
COPY package.xml pear_ros/
COPY pear_msgs/package.xml pear_msgs/
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ cmake git make python3-dev python3-pip python3-venv \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && PIP_BREAK_SYSTEM_PACKAGES=1 rosdep install --from-paths . --ignore-src --skip-keys rviz2 -y \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /pear_ros
ENTRYPOINT ["/ros_entrypoint.sh"]
CMD ["bash"]
