-- The extension's settings.

-- Anybody may change it, in a session that has not loaded the module yet, too.
CREATE ROLE regress_racefree_settings;
SET ROLE regress_racefree_settings;
SET racefree.early_lock_release = on;
SELECT lock_keys('{}');
SHOW racefree.early_lock_release;
SET racefree.early_lock_release = 'perhaps';
BEGIN;
SET LOCAL racefree.early_lock_release = off;
SHOW racefree.early_lock_release;
COMMIT;
SHOW racefree.early_lock_release;
RESET racefree.early_lock_release;
SHOW racefree.early_lock_release;

-- There is no other one: a name that is written wrongly is an error.
SET racefree.early_lock_relase = on;

RESET ROLE;
SELECT name, vartype, boot_val, context, short_desc, extra_desc
FROM pg_settings WHERE name LIKE 'racefree.%';
DROP ROLE regress_racefree_settings;
