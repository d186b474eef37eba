/** The codes of errors that the server answers with; others may come. */
export type ValtaErrorCode =
  | 'INVALID_REQUEST'
  | 'UNAUTHORISED'
  | 'CREDITS_EXHAUSTED'
  | 'FORBIDDEN'
  | 'AGENT_FROZEN'
  | 'NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'CONFLICT'
  | 'PAYLOAD_TOO_LARGE'
  | 'RATE_LIMIT_EXCEEDED'
  | 'INTERNAL_ERROR'
  /** No answer came: the network failed. The status is 0. */
  | 'CONNECTION_ERROR'
  /** No answer came in time. The status is 0. */
  | 'TIMEOUT'
  | (string & {});

/** What an error knows beside its status, code and message. */
export interface ValtaErrorDetails {
  /** The server's id of the request, for reports. */
  requestId?: string | undefined;
  /** After how many seconds trying again makes sense, when the server said so. */
  retryAfter?: number | undefined;
  cause?: unknown;
}

/** Every error of this library, but for the reason of a signal that was aborted. */
export class ValtaError extends Error {
  /** The HTTP status; 0 when no answer came. */
  readonly status: number;
  /** Which error it is. Codes do not change, messages may. */
  readonly code: ValtaErrorCode;
  readonly requestId: string | undefined;
  readonly retryAfter: number | undefined;

  constructor(status: number, code: ValtaErrorCode, message: string, details: ValtaErrorDetails = {}) {
    super(message);
    this.name = new.target.name;
    this.status = status;
    this.code = code;
    this.requestId = details.requestId;
    this.retryAfter = details.retryAfter;
    if (details.cause !== undefined) {
      Object.defineProperty(this, 'cause', { value: details.cause, enumerable: false, configurable: true, writable: true });
    }
  }
}

/** 400 INVALID_REQUEST. */
export class InvalidRequestError extends ValtaError {}
/** 401 UNAUTHORISED: no API key, or one that is not valid. */
export class UnauthorisedError extends ValtaError {}
/** 402 CREDITS_EXHAUSTED: the month's credits do not start another run. */
export class CreditsExhaustedError extends ValtaError {}
/** 403 FORBIDDEN: the key lacks a scope, the plan has no room, or a policy denies a transfer. */
export class ForbiddenError extends ValtaError {}
/** 403 AGENT_FROZEN. */
export class AgentFrozenError extends ValtaError {}
/** 404 NOT_FOUND: it does not exist, or is not yours. */
export class NotFoundError extends ValtaError {}
/** 409 CONFLICT: decided already, or an idempotency key that was used for another request. */
export class ConflictError extends ValtaError {}
/** 429 RATE_LIMIT_EXCEEDED; see retryAfter. */
export class RateLimitError extends ValtaError {}
/** No answer came: CONNECTION_ERROR or TIMEOUT. */
export class ConnectionError extends ValtaError {}

const classes = new Map<string, typeof ValtaError>([
  ['INVALID_REQUEST', InvalidRequestError],
  ['UNAUTHORISED', UnauthorisedError],
  ['CREDITS_EXHAUSTED', CreditsExhaustedError],
  ['FORBIDDEN', ForbiddenError],
  ['AGENT_FROZEN', AgentFrozenError],
  ['NOT_FOUND', NotFoundError],
  ['CONFLICT', ConflictError],
  ['RATE_LIMIT_EXCEEDED', RateLimitError],
  ['CONNECTION_ERROR', ConnectionError],
  ['TIMEOUT', ConnectionError],
]);

/** Reports whether something that was thrown is an error of this library, and has the code if one is given. */
export function isValtaError(error: unknown, code?: ValtaErrorCode): error is ValtaError {
  return error instanceof ValtaError && (code === undefined || error.code === code);
}

/** Makes the error of a code, in the class of its kind. */
export function errorOf(status: number, code: ValtaErrorCode, message: string, details?: ValtaErrorDetails): ValtaError {
  return new (classes.get(code) ?? ValtaError)(status, code, message, details);
}
