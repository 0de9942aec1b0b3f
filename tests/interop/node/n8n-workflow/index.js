// What the node of n8n takes of n8n: its errors.
"use strict";

class NodeApiError extends Error {
  constructor(node, told) {
    super(told.message);
    this.description = told.description;
  }
}

class NodeOperationError extends Error {
  constructor(node, message) {
    super(String(message));
  }
}

module.exports = { NodeApiError, NodeOperationError };
