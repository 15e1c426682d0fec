-- Hours on jobs against hours on shift, by technician and week.
--
--   st-export query "$(cat configs/recipes/technician-utilisation.sql)"
--
-- Reads payroll.jobs.timesheets (arrival to done on a job), dispatch.technician-shifts (the planned hours) and settings.technicians
-- (their names). A visit that has not ended, or that was canceled, has no hours; shifts of the type TimeOff are no capacity.
-- Weeks begin on Monday, UTC. `utilisation` is null in a week without a shift.
WITH worked AS (
    SELECT
        _tenant_id,
        "technicianId",
        date_trunc('week', "arrivedOn") AS week,
        sum(epoch("doneOn" - "arrivedOn")) / 3600 AS hours
    FROM payroll.jobs_timesheets
    WHERE active IS NOT false AND "canceledOn" IS NULL AND "doneOn" > "arrivedOn"
    GROUP BY ALL
),
planned AS (
    SELECT
        _tenant_id,
        "technicianId",
        date_trunc('week', start) AS week,
        sum(epoch("end" - start)) / 3600 AS hours
    FROM dispatch.technician_shifts
    WHERE active IS NOT false AND "shiftType" <> 'TimeOff'
    GROUP BY ALL
)
SELECT
    _tenant_id AS tenant_id,
    week::DATE AS week,
    "technicianId" AS technician_id,
    technician.name AS technician,
    round(coalesce(worked.hours, 0), 2) AS hours_on_jobs,
    round(coalesce(planned.hours, 0), 2) AS hours_on_shift,
    round(coalesce(worked.hours, 0) / nullif(planned.hours, 0), 4) AS utilisation
FROM worked
FULL JOIN planned USING (_tenant_id, "technicianId", week)
LEFT JOIN settings.technicians AS technician ON technician._tenant_id = _tenant_id AND technician.id = "technicianId"
ORDER BY tenant_id, week, technician_id
