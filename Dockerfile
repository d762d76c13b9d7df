# mmext on CPUs, with mmcv's compiled operators:
#
#   docker build -t mmext .
#   docker run --rm mmext info
#   docker run --rm --shm-size 4g -v "$PWD":/work mmext train my_config.py
#   docker run --rm -p 127.0.0.1:8000:8000 -v "$PWD":/work mmext serve work_dirs/mine --host 0.0.0.0

ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS build
# wheels of torch without CUDA; the package index has those with it, six times as large
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=/src/constraints.txt
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /src
COPY constraints.txt ./
RUN pip install ${TORCH_INDEX:+--extra-index-url $TORCH_INDEX} 'pip>=24' 'setuptools<81' wheel ninja torch numpy
COPY . ./
# in isolation pip leaves mmcv's operators out, at once; without it compiles them the slow way
RUN pip install '.[video,export]'
RUN mmext setup && rm -rf /root/.cache && mmext info

FROM python:${PYTHON}-slim
# OpenCV and mmcv's operators link to these
RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 libgomp1 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1
RUN useradd --create-home user && mkdir /work && chown user /work
USER user
WORKDIR /work
ENTRYPOINT ["mmext"]
CMD ["--help"]
