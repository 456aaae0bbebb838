# Not yet built; checked with hadolint.
# SPDX-License-Identifier: Apache-2.0
#
# The node for a robot, with ROS 2 from apt. From the repository's root:
#
#     docker build --file docker/robot.Dockerfile --tag pear_ros:robot .
#     docker run --rm --network host --ipc host pear_ros:robot \
#         ros2 launch pear_ros pear.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info
#
# On a Jetson give NVIDIA's image for your JetPack that has ROS 2 and TensorRT as BASE, start with
# `--runtime nvidia`, and mount the models and the folder of engines:
#
#     --volume "$HOME/models:/home/pear/models" --volume pear_engines:/home/pear/.cache/pear_ros/engines
ARG ROS_DISTRO=jazzy
ARG BASE=ros:${ROS_DISTRO}-ros-base
FROM ${BASE}
ARG ROS_DISTRO

SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1

# First what packages depend on, which changes less often than the code.
WORKDIR /workspace
COPY package.xml src/pear_ros/
COPY pear_msgs/package.xml src/pear_msgs/
COPY requirements/robot.txt requirements/hashes.txt /tmp/pins/requirements/
COPY tools/hashes.py /tmp/pins/tools/
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-pip \
    && rosdep update --rosdistro "$ROS_DISTRO" \
    && rosdep install --from-paths src --ignore-src --dependency-types exec --dependency-types build \
        --dependency-types buildtool --skip-keys rviz2 -y \
    && python3 /tmp/pins/tools/hashes.py /tmp/pins/requirements/robot.txt > /tmp/pins/robot.txt \
    && python3 -m pip install --no-deps --require-hashes -r /tmp/pins/robot.txt \
    && rm -rf /var/lib/apt/lists/* /tmp/pins

COPY . src/pear_ros
RUN rm -rf src/pear_msgs \
    && ln -s pear_ros/pear_msgs src/pear_msgs \
    && . "/opt/ros/$ROS_DISTRO/setup.bash" \
    && colcon build --merge-install \
    && rm -rf build log
COPY docker/entrypoint.sh /usr/local/bin/pear-entrypoint

# Engines are accepted only from a folder that this user alone can write.
RUN useradd --create-home --shell /bin/bash pear \
    && install --directory --owner pear --group pear --mode 700 \
        /home/pear/.cache /home/pear/.cache/pear_ros /home/pear/.cache/pear_ros/engines
# hadolint ignore=DL3066
USER pear
WORKDIR /home/pear
RUN . /workspace/install/setup.bash && ros2 run pear_ros pear download

ENTRYPOINT ["pear-entrypoint"]
CMD ["ros2", "launch", "pear_ros", "pear.launch.py"]
