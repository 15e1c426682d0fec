-- Estimates that are neither sold nor dismissed, the largest first, with the customer and their age.
--
--   st-export query "$(cat configs/recipes/open-estimates.sql)"
--
-- Reads sales.estimates and crm.customers. `age_days` counts from the estimate's creation to today, UTC.
SELECT
    estimate.tenant_id,
    estimate.id AS estimate_id,
    estimate."jobNumber" AS job_number,
    estimate.name AS estimate,
    customer.name AS customer,
    estimate."businessUnitName" AS business_unit,
    estimate."createdOn"::DATE AS created,
    date_diff('day', estimate."createdOn"::DATE, current_date) AS age_days,
    estimate.subtotal::DECIMAL(18, 2) AS subtotal,
    estimate.tax::DECIMAL(18, 2) AS tax
FROM sales.estimates AS estimate
LEFT JOIN crm.customers AS customer ON customer._tenant_id = estimate._tenant_id AND customer.id = estimate."customerId"
WHERE estimate.active IS NOT false AND estimate.status.name = 'Open'
ORDER BY subtotal DESC, estimate_id
