/** The SQLSTATEs that the gateway itself sends, by PostgreSQL's condition name (appendix A). */
export const sqlstate = {
  protocolViolation: "08P01",
  connectionFailure: "08006",
  cannotConnectNow: "57P03",
  featureNotSupported: "0A000",
  invalidAuthorization: "28000",
  invalidPassword: "28P01",
  insufficientPrivilege: "42501",
  undefinedObject: "42704",
  undefinedFunction: "42883",
  invalidParameterValue: "22023",
  characterNotInRepertoire: "22021",
  invalidTextRepresentation: "22P02",
  syntaxError: "42601",
  nameTooLong: "42622",
  undefinedPreparedStatement: "26000",
  duplicatePreparedStatement: "42P05",
  undefinedDatabase: "3D000",
  tooManyConnections: "53300",
  insufficientResources: "53000",
  programLimitExceeded: "54000",
  queryCanceled: "57014",
  adminShutdown: "57P01",
  idleSessionTimeout: "57P05",
  internalError: "XX000",
} as const;

export type SqlState = (typeof sqlstate)[keyof typeof sqlstate];
