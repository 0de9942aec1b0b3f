"""Protobuf messages of the wire, only those and only the fields that Tocsin uses.

`*_pb2.py` and `*_pb2.pyi` are generated from the `.proto` files beside them by `make proto`:

    cd layers/core
    python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. tocsin/whatsapp/proto/*.proto

proto2 throughout: fields have presence, so a zero that was set is written. Field numbers are facts of the
wire; package names are our own, so that they never meet another library's descriptors.
"""
