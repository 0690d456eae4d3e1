"""Takes traces as a collector does: OTLP over HTTP, decoded by OpenTelemetry's own classes. Each span becomes a line of JSON.

The argument says how it behaves: `take`, `later` (503 to the first request), `refuse` (400), `hang` (never answers).
"""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

behaviour = sys.argv[1]
requests = 0


def plain(attributes):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in attributes}


def spans(request):
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield {
                    "resource": plain(resource.resource.attributes),
                    "scope": scope.scope.name,
                    "trace": span.trace_id.hex(),
                    "span": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "name": span.name,
                    "kind": span.kind,
                    "start": span.start_time_unix_nano,
                    "end": span.end_time_unix_nano,
                    "status": span.status.code,
                    "message": span.status.message,
                    "attributes": plain(span.attributes),
                }


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        global requests
        requests += 1
        body = self.rfile.read(int(self.headers["content-length"]))
        if behaviour == "hang":
            time.sleep(3600)
        if self.path != "/v1/traces" or self.headers["content-type"] != "application/x-protobuf":
            return self.answer(404, b"")
        if behaviour == "refuse":
            return self.answer(400, b"")
        if behaviour == "later" and requests == 1:
            return self.answer(503, b"")
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        # A field that is not OpenTelemetry's would be an error of ours.
        assert request.SerializeToString(deterministic=True) and not list(unknown(request)), "unknown fields"
        for span in spans(request):
            print(json.dumps(span), flush=True)
        self.answer(200, ExportTraceServiceResponse().SerializeToString())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


def unknown(message):
    """Fields of a message, and of all in it, that its type does not have."""
    from google.protobuf import unknown_fields

    yield from unknown_fields.UnknownFieldSet(message)
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if hasattr(value, "__len__") and not hasattr(value, "ListFields") else [value]:
                yield from unknown(part)


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
