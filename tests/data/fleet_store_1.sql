BEGIN TRANSACTION;
CREATE TABLE application_versions (
    version_id TEXT NOT NULL PRIMARY KEY,
    version_name TEXT NOT NULL UNIQUE,
    version_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL);
INSERT INTO "application_versions" VALUES('d3c90414-10ed-4702-aa78-36077965e4ae','1',1795705169000,1795705169000,'losant-fleet');
CREATE TABLE dbos_migrations (version INTEGER NOT NULL PRIMARY KEY);
INSERT INTO "dbos_migrations" VALUES(125);
CREATE TABLE fleet_chunks (
	run TEXT NOT NULL, 
	phase TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	owner TEXT NOT NULL, 
	begun_at TEXT, 
	is_complete BOOLEAN NOT NULL, 
	result TEXT, 
	PRIMARY KEY (run, phase, number)
);
INSERT INTO "fleet_chunks" VALUES('a383d929881d','apply',0,'adaac1dbf3244bd8',NULL,1,'{"format":"losant-tokens chunk result","version":1,"digest":"sha256:9e610d38fddf9d8949ca8d4d5602eeb6c3c8d1a0705a09a450880e10c0e64e73","first":0,"results":[{"owner":"user","id":"000000000000000000000100","name":"ci-100","outcome":"done","error":null,"changed":"2026-11-26T14:59:31.700000+00:00"},{"owner":"user","id":"000000000000000000000101","name":"ci-101","outcome":"done","error":null,"changed":"2026-11-26T14:59:31.973000+00:00"},{"owner":"user","id":"000000000000000000000102","name":"ci-102","outcome":"done","error":null,"changed":"2026-11-26T14:59:32.228000+00:00"}],"requests":6,"retries":0,"refused":0,"seconds":0.6585687519982457,"gaveUp":null}');
CREATE TABLE fleet_plans (
	run TEXT NOT NULL, 
	phase TEXT NOT NULL, 
	document TEXT NOT NULL, 
	PRIMARY KEY (run, phase)
);
INSERT INTO "fleet_plans" VALUES('a383d929881d','apply','{"format":"losant-tokens plan document","version":1,"digest":"sha256:9e610d38fddf9d8949ca8d4d5602eeb6c3c8d1a0705a09a450880e10c0e64e73","header":{"format":"losant-tokens plan","version":2,"created":"2026-11-26T14:59:31.502962+00:00","baseUrl":"https://api.losant.com","action":"deactivate","rule":"named ''ci-*'' and not updated for 180 days","owners":{"user":{"listed":3,"selected":3,"protected":0}},"protected":[],"tokenInUse":null,"moved":false,"ownerIds":{"user":["000000000000000000000001"]},"account":null,"clockSkew":-0.408,"incomplete":[],"grace":1,"policy":{"cleanup":"old-ci","digest":"sha256:0865af8dfdf42fb3e7fcd082096f9ce519ebaf190624b17bdf6217a19bb29081"},"cannotApply":[],"tokenExpires":null,"refused":[]},"tokens":[{"owner":"user","id":"000000000000000000000100","name":"ci-100","status":"active","lastUpdated":"2024-01-01T00:00:00+00:00","creationDate":"2024-01-01T00:00:00+00:00","expirationDate":null,"reason":"named ''ci-*'', last updated on 2024-01-01","scope":["all.User.read"],"creatorId":"000000000000000000000001"},{"owner":"user","id":"000000000000000000000101","name":"ci-101","status":"active","lastUpdated":"2024-01-01T00:00:00+00:00","creationDate":"2024-01-01T00:00:00+00:00","expirationDate":null,"reason":"named ''ci-*'', last updated on 2024-01-01","scope":["all.User.read"],"creatorId":"000000000000000000000001"},{"owner":"user","id":"000000000000000000000102","name":"ci-102","status":"active","lastUpdated":"2024-01-01T00:00:00+00:00","creationDate":"2024-01-01T00:00:00+00:00","expirationDate":null,"reason":"named ''ci-*'', last updated on 2024-01-01","scope":["all.User.read"],"creatorId":"000000000000000000000001"}]}');
INSERT INTO "fleet_plans" VALUES('68e5decfadec','apply','{"format":"losant-tokens plan document","version":1,"digest":"sha256:ea347e7d6775ad05e7e673b7fa6fbd9c1c0fa11107e41718bb1f5aee679e991f","header":{"format":"losant-tokens plan","version":2,"created":"2026-11-26T14:59:31.500631+00:00","baseUrl":"https://api.losant.com","action":"deactivate","rule":"named ''ci-*'' and not updated for 180 days","owners":{"user":{"listed":3,"selected":3,"protected":0}},"protected":[],"tokenInUse":null,"moved":false,"ownerIds":{"user":["000000000000000000000002"]},"account":null,"clockSkew":0.085,"incomplete":[],"grace":1,"policy":{"cleanup":"old-ci","digest":"sha256:0865af8dfdf42fb3e7fcd082096f9ce519ebaf190624b17bdf6217a19bb29081"},"cannotApply":[],"tokenExpires":null,"refused":[]},"tokens":[{"owner":"user","id":"000000000000000000000200","name":"ci-200","status":"active","lastUpdated":"2024-01-01T00:00:00+00:00","creationDate":"2024-01-01T00:00:00+00:00","expirationDate":null,"reason":"named ''ci-*'', last updated on 2024-01-01","scope":["all.User.read"],"creatorId":"000000000000000000000002"},{"owner":"user","id":"000000000000000000000201","name":"ci-201","status":"active","lastUpdated":"2024-01-01T00:00:00+00:00","creationDate":"2024-01-01T00:00:00+00:00","expirationDate":null,"reason":"named ''ci-*'', last updated on 2024-01-01","scope":["all.User.read"],"creatorId":"000000000000000000000002"},{"owner":"user","id":"000000000000000000000202","name":"ci-202","status":"active","lastUpdated":"2024-01-01T00:00:00+00:00","creationDate":"2024-01-01T00:00:00+00:00","expirationDate":null,"reason":"named ''ci-*'', last updated on 2024-01-01","scope":["all.User.read"],"creatorId":"000000000000000000000002"}]}');
CREATE TABLE fleet_runs (
	id TEXT NOT NULL, 
	occasion TEXT, 
	state TEXT NOT NULL, 
	account TEXT NOT NULL, 
	cleanup TEXT NOT NULL, 
	requested_at FLOAT NOT NULL, 
	approve_by FLOAT, 
	sweep_due_at FLOAT, 
	owner TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	record TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (occasion)
);
INSERT INTO "fleet_runs" VALUES('a383d929881d','d741050ca24760a5ced874c94bc24ebb5202adf595d9ab8187b7bdb522243425','quarantined','acme','old-ci',1.79570516982229208945e+09,4.94930517117824554434e+09,1.7957051750597720146e+09,'',8,'{"version":1,"id":"a383d929881d","state":"quarantined","account":"acme","cleanup":"old-ci","requestedBy":"ada","requestedAt":"2026-11-26T14:59:29.822292+00:00","changedAt":"2026-11-26T14:59:32.299105+00:00","plan":{"digest":"sha256:9e610d38fddf9d8949ca8d4d5602eeb6c3c8d1a0705a09a450880e10c0e64e73","action":"deactivate","rule":"named ''ci-*'' and not updated for 180 days","selected":3,"listed":3,"protected":0,"owners":["user"],"grace":1.0,"warnings":[]},"plannedAt":"2026-11-26T14:59:31.178246+00:00","approveBy":"2126-11-02T14:59:31.178246+00:00","decisions":[{"kind":"approve","by":"bob","at":"2026-11-26T14:59:31.385033+00:00","digest":"sha256:9e610d38fddf9d8949ca8d4d5602eeb6c3c8d1a0705a09a450880e10c0e64e73","reason":"reviewed"}],"work":{"plan":{"worker":"w1","version":"0.1.0","startedAt":"2026-11-26T14:59:31.075011+00:00","finishedAt":"2026-11-26T14:59:31.178246+00:00","attempts":1,"outcomes":{}},"apply":{"worker":"w1","version":"0.1.0","startedAt":"2026-11-26T14:59:31.462673+00:00","finishedAt":"2026-11-26T14:59:32.299105+00:00","attempts":1,"outcomes":{"done":3}}},"sweepDueAt":"2026-11-26T14:59:35.059772+00:00","phase":"apply","reason":"","retryAt":null,"partition":"6a42d12173ffe0dd83e3c0c997cd82bf","attempt":4,"owner":"","failingSince":null,"digests":{}}');
INSERT INTO "fleet_runs" VALUES('68e5decfadec',NULL,'waiting','bolt','old-ci',1795705171.36761,4.94930517163366317763e+09,NULL,'c2da7916fbbdfa85',4,'{"version":1,"id":"68e5decfadec","state":"waiting","account":"bolt","cleanup":"old-ci","requestedBy":"ada","requestedAt":"2026-11-26T14:59:31.367610+00:00","changedAt":"2026-11-26T14:59:31.633663+00:00","plan":{"digest":"sha256:ea347e7d6775ad05e7e673b7fa6fbd9c1c0fa11107e41718bb1f5aee679e991f","action":"deactivate","rule":"named ''ci-*'' and not updated for 180 days","selected":3,"listed":3,"protected":0,"owners":["user"],"grace":1.0,"warnings":[]},"plannedAt":"2026-11-26T14:59:31.633663+00:00","approveBy":"2126-11-02T14:59:31.633663+00:00","decisions":[],"work":{"plan":{"worker":"w1","version":"0.1.0","startedAt":"2026-11-26T14:59:31.534216+00:00","finishedAt":"2026-11-26T14:59:31.633663+00:00","attempts":1,"outcomes":{}}},"sweepDueAt":null,"phase":"plan","reason":"","retryAt":null,"partition":"144b5df013e8a1780cbbcadf3d2b498b","attempt":2,"owner":"c2da7916fbbdfa85","failingSince":null,"digests":{}}');
CREATE TABLE fleet_ticks (
	schedule TEXT NOT NULL, 
	last_at DOUBLE NOT NULL, 
	PRIMARY KEY (schedule)
);
CREATE TABLE fleet_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "fleet_version" VALUES(1);
CREATE TABLE fleet_workers (
	id TEXT NOT NULL, 
	boot TEXT NOT NULL, 
	beats BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	place TEXT NOT NULL, 
	host TEXT NOT NULL, 
	process BIGINT NOT NULL, 
	version TEXT NOT NULL, 
	started_at DOUBLE NOT NULL, 
	heartbeat_at DOUBLE NOT NULL, 
	ended_at DOUBLE, 
	orphans TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "fleet_workers" VALUES('w1','170a476efd55cc13d5358a9658f87da0',4,'released','b830ded81a7a8fb2:988d4c5c-091c-4366-ac28-046aff96ff1e:65024:2288306','vm',24346,'0.1.0',1.79570516971599602705e+09,1.79570517378199696542e+09,1.79570517379000329973e+09,'[]');
CREATE TABLE notifications (
    message_uuid TEXT NOT NULL DEFAULT (hex(randomblob(16))) PRIMARY KEY,
    destination_uuid TEXT NOT NULL,
    topic TEXT,
    message TEXT NOT NULL,
    created_at_epoch_ms INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000), "serialization" TEXT DEFAULT NULL, "consumed" BOOLEAN NOT NULL DEFAULT FALSE, consumed_by_function_id INTEGER,
    FOREIGN KEY (destination_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE "operation_outputs" (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    function_name TEXT NOT NULL DEFAULT '',
    output TEXT,
    error TEXT,
    child_workflow_id TEXT,
    started_at_epoch_ms INTEGER,
    completed_at_epoch_ms INTEGER,
    serialization TEXT,
    application_name TEXT DEFAULT NULL,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    PRIMARY KEY (workflow_uuid, function_id)
);
CREATE TABLE queues (
    queue_id TEXT PRIMARY KEY DEFAULT (hex(randomblob(16))),
    name TEXT NOT NULL UNIQUE,
    concurrency INTEGER,
    worker_concurrency INTEGER,
    rate_limit_max INTEGER,
    rate_limit_period_sec REAL,
    priority_enabled BOOLEAN NOT NULL DEFAULT FALSE,
    partition_queue BOOLEAN NOT NULL DEFAULT FALSE,
    polling_interval_sec REAL NOT NULL DEFAULT 1.0,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
, "application_name" TEXT DEFAULT NULL, "partition_concurrency" INTEGER DEFAULT NULL, "partition_worker_concurrency" INTEGER DEFAULT NULL, "partition_rate_limit_max" INTEGER DEFAULT NULL, "partition_rate_limit_period_sec" REAL DEFAULT NULL);
INSERT INTO "queues" VALUES('936DC387C53C05F438512D9A11A35697','losant-fleet',NULL,4,NULL,NULL,1,1,0.05,1795705169000,1795705169793,'losant-fleet',1,NULL,NULL,NULL);
CREATE TABLE streams (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    "offset" INTEGER NOT NULL, function_id INTEGER NOT NULL DEFAULT 0, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key, "offset"),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_events (
    workflow_uuid TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid) 
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_events_history (
    workflow_uuid TEXT NOT NULL,
    function_id INTEGER NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL, "serialization" TEXT DEFAULT NULL,
    PRIMARY KEY (workflow_uuid, function_id, key),
    FOREIGN KEY (workflow_uuid) REFERENCES workflow_status(workflow_uuid)
        ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE workflow_input (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    inputs TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_input" VALUES('a383d929881d-plan-1','{"namedArgs":{},"positionalArgs":["a383d929881d","plan",1]}',1795705169000);
INSERT INTO "workflow_input" VALUES('a383d929881d-plan-2','{"namedArgs":{},"positionalArgs":["a383d929881d","plan",2]}',1795705170000);
INSERT INTO "workflow_input" VALUES('68e5decfadec-plan-1','{"namedArgs":{},"positionalArgs":["68e5decfadec","plan",1]}',1795705171000);
INSERT INTO "workflow_input" VALUES('a383d929881d-apply-3','{"namedArgs":{},"positionalArgs":["a383d929881d","apply",3]}',1795705171000);
INSERT INTO "workflow_input" VALUES('68e5decfadec-plan-2','{"namedArgs":{},"positionalArgs":["68e5decfadec","plan",2]}',1795705171000);
INSERT INTO "workflow_input" VALUES('a383d929881d-sweep-4','{"namedArgs":{},"positionalArgs":["a383d929881d","sweep",4]}',1795705172000);
CREATE TABLE workflow_output (
    workflow_uuid TEXT NOT NULL PRIMARY KEY,
    output TEXT,
    error TEXT,
    retention_timestamp INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000)
);
INSERT INTO "workflow_output" VALUES('a383d929881d-plan-1','null',NULL,1795705170000);
INSERT INTO "workflow_output" VALUES('a383d929881d-plan-2','null',NULL,1795705171000);
INSERT INTO "workflow_output" VALUES('68e5decfadec-plan-1','null',NULL,1795705171000);
INSERT INTO "workflow_output" VALUES('68e5decfadec-plan-2','null',NULL,1795705171000);
INSERT INTO "workflow_output" VALUES('a383d929881d-apply-3','null',NULL,1795705172000);
CREATE TABLE workflow_schedules (
    schedule_id TEXT PRIMARY KEY,
    schedule_name TEXT NOT NULL UNIQUE,
    workflow_name TEXT NOT NULL,
    workflow_class_name TEXT,
    schedule TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'ACTIVE',
    context TEXT NOT NULL
, "last_fired_at" TEXT DEFAULT NULL, "automatic_backfill" BOOLEAN NOT NULL DEFAULT FALSE, "cron_timezone" TEXT DEFAULT NULL, "queue_name" TEXT DEFAULT NULL, "application_name" TEXT DEFAULT NULL);
CREATE TABLE workflow_status (
    workflow_uuid TEXT PRIMARY KEY,
    status TEXT,
    name TEXT,
    authenticated_user TEXT,
    assumed_role TEXT,
    authenticated_roles TEXT,
    request TEXT,
    output TEXT,
    error TEXT,
    executor_id TEXT,
    created_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    updated_at INTEGER NOT NULL DEFAULT (strftime('%s','now') * 1000),
    application_version TEXT,
    application_id TEXT,
    class_name TEXT DEFAULT NULL,
    config_name TEXT DEFAULT NULL,
    recovery_attempts INTEGER DEFAULT 0,
    queue_name TEXT,
    workflow_timeout_ms INTEGER,
    workflow_deadline_epoch_ms INTEGER,
    inputs TEXT,
    started_at_epoch_ms INTEGER,
    deduplication_id TEXT,
    priority INTEGER NOT NULL DEFAULT 0
, queue_partition_key TEXT, forked_from TEXT, "owner_xid" TEXT DEFAULT NULL, "parent_workflow_id" TEXT DEFAULT NULL, "serialization" TEXT DEFAULT NULL, "delay_until_epoch_ms" BIGINT DEFAULT NULL, "was_forked_from" BOOLEAN NOT NULL DEFAULT FALSE, "rate_limited" BOOLEAN NOT NULL DEFAULT FALSE, "completed_at" BIGINT, "attributes" TEXT, "schedule_name" TEXT, "debounce_deadline_epoch_ms" BIGINT DEFAULT NULL, "is_debounced" BOOLEAN NOT NULL DEFAULT FALSE, "application_name" TEXT DEFAULT NULL, "creator_xid" TEXT DEFAULT NULL);
INSERT INTO "workflow_status" VALUES('a383d929881d-plan-1','SUCCESS','losant_fleet_task',NULL,NULL,NULL,NULL,NULL,NULL,'w1',1795705169000,1795705170000,'1',NULL,NULL,NULL,1,'losant-fleet',NULL,NULL,NULL,1795705170000,NULL,0,'account acme',NULL,NULL,NULL,'portable_json',NULL,0,0,1795705170000,'null',NULL,NULL,0,'losant-fleet','07594a55-7973-4164-82a4-28e9eebd75ad');
INSERT INTO "workflow_status" VALUES('a383d929881d-plan-2','SUCCESS','losant_fleet_task',NULL,NULL,NULL,NULL,NULL,NULL,'w1',1795705170000,1795705171000,'1',NULL,NULL,NULL,1,'losant-fleet',NULL,NULL,NULL,1795705171000,NULL,0,'6a42d12173ffe0dd83e3c0c997cd82bf',NULL,NULL,NULL,'portable_json',NULL,0,0,1795705171000,'null',NULL,NULL,0,'losant-fleet','d8bf0d3f-5b22-46cf-875d-5db8db8e30af');
INSERT INTO "workflow_status" VALUES('68e5decfadec-plan-1','SUCCESS','losant_fleet_task',NULL,NULL,NULL,NULL,NULL,NULL,'w1',1795705171000,1795705171000,'1',NULL,NULL,NULL,1,'losant-fleet',NULL,NULL,NULL,1795705171000,NULL,0,'account bolt',NULL,NULL,NULL,'portable_json',NULL,0,0,1795705171000,'null',NULL,NULL,0,'losant-fleet','42b51642-2047-4f28-8bcf-79975150b4f5');
INSERT INTO "workflow_status" VALUES('a383d929881d-apply-3','SUCCESS','losant_fleet_task',NULL,NULL,NULL,NULL,NULL,NULL,'w1',1795705171000,1795705172000,'1',NULL,NULL,NULL,1,'losant-fleet',NULL,NULL,NULL,1795705171000,NULL,0,'6a42d12173ffe0dd83e3c0c997cd82bf',NULL,NULL,NULL,'portable_json',NULL,0,0,1795705172000,'null',NULL,NULL,0,'losant-fleet','ada3eec1-6a91-40cd-bf7a-9222905d06a4');
INSERT INTO "workflow_status" VALUES('68e5decfadec-plan-2','SUCCESS','losant_fleet_task',NULL,NULL,NULL,NULL,NULL,NULL,'w1',1795705171000,1795705171000,'1',NULL,NULL,NULL,1,'losant-fleet',NULL,NULL,NULL,1795705171000,NULL,0,'144b5df013e8a1780cbbcadf3d2b498b',NULL,NULL,NULL,'portable_json',NULL,0,0,1795705171000,'null',NULL,NULL,0,'losant-fleet','662b5e14-7c27-4f59-898a-0bfcda71c29f');
INSERT INTO "workflow_status" VALUES('a383d929881d-sweep-4','DELAYED','losant_fleet_task',NULL,NULL,NULL,NULL,NULL,NULL,NULL,1795705172000,1795705172000,NULL,NULL,NULL,NULL,0,'losant-fleet',NULL,NULL,NULL,NULL,NULL,0,'6a42d12173ffe0dd83e3c0c997cd82bf',NULL,NULL,NULL,'portable_json',1795705175060,0,0,NULL,'null',NULL,NULL,0,'losant-fleet','9f44f31f-2276-4860-b653-a126f52ab7c7');
CREATE INDEX workflow_status_created_at_index ON workflow_status (created_at);
CREATE INDEX idx_workflow_topic ON notifications (destination_uuid, topic);
CREATE INDEX "idx_workflow_status_delayed" ON "workflow_status" ("delay_until_epoch_ms") WHERE status = 'DELAYED';
CREATE INDEX "idx_workflow_status_forked_from" ON "workflow_status" ("forked_from") WHERE "forked_from" IS NOT NULL;
CREATE INDEX "idx_workflow_status_parent_workflow_id" ON "workflow_status" ("parent_workflow_id") WHERE "parent_workflow_id" IS NOT NULL;
CREATE UNIQUE INDEX "uq_workflow_status_dedup_id" ON "workflow_status" ("queue_name", "deduplication_id") WHERE "deduplication_id" IS NOT NULL;
CREATE INDEX "idx_workflow_status_pending" ON "workflow_status" ("created_at") WHERE "status" = 'PENDING';
CREATE INDEX "idx_workflow_status_failed" ON "workflow_status" ("status", "created_at") WHERE "status" IN ('ERROR', 'CANCELLED', 'MAX_RECOVERY_ATTEMPTS_EXCEEDED');
CREATE INDEX "idx_workflow_status_rate_limited" ON "workflow_status" ("queue_name", "started_at_epoch_ms") WHERE "rate_limited" = TRUE;
CREATE INDEX "idx_workflow_status_completed_at" ON "workflow_status" ("completed_at") WHERE "completed_at" IS NOT NULL;
CREATE INDEX "idx_workflow_status_started_at" ON "workflow_status" ("started_at_epoch_ms") WHERE "started_at_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_workflow_status_schedule_name" ON "workflow_status" ("schedule_name") WHERE "schedule_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_owner_version"
    ON application_versions ("application_name", "version_name")
    WHERE "application_name" IS NOT NULL;
CREATE UNIQUE INDEX "uq_application_versions_unclaimed_version"
    ON application_versions ("version_name")
    WHERE "application_name" IS NULL;
CREATE INDEX idx_workflow_input_retention
    ON workflow_input (retention_timestamp);
CREATE INDEX idx_workflow_output_retention
    ON workflow_output (retention_timestamp);
CREATE INDEX idx_operation_outputs_retention
    ON operation_outputs (retention_timestamp);
CREATE INDEX "idx_workflow_status_in_flight_v2" ON "workflow_status" ("queue_name", "status", "priority", "created_at", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING');
CREATE INDEX "idx_workflow_status_partition_dequeue_v3" ON "workflow_status" ("queue_name", "status", "queue_partition_key", "priority", "created_at", "workflow_uuid", "application_name") WHERE "status" IN ('ENQUEUED', 'PENDING') AND "queue_partition_key" IS NOT NULL;
CREATE INDEX "idx_operation_outputs_completed_at_function_name_v2" ON "operation_outputs" ("completed_at_epoch_ms", "function_name", "application_name");
CREATE INDEX "idx_workflow_status_deadline" ON "workflow_status" ("workflow_deadline_epoch_ms") WHERE "status" IN ('ENQUEUED', 'PENDING', 'DELAYED') AND "workflow_deadline_epoch_ms" IS NOT NULL;
CREATE INDEX "idx_application_versions_timestamp" ON "application_versions" ("version_timestamp" DESC);
CREATE INDEX "idx_application_versions_owner_timestamp" ON "application_versions" ("application_name", "version_timestamp" DESC);
CREATE INDEX fleet_runs_by_state ON fleet_runs (state, requested_at);
CREATE INDEX fleet_runs_by_account ON fleet_runs (account, requested_at);
CREATE INDEX fleet_runs_by_time ON fleet_runs (requested_at, id);
COMMIT;
