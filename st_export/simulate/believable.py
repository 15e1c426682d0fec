"""What makes the made-up tenant believable: sizes, who refers to whom, keys, and how the service departs from its documents.

Pure data. Sizes are shares of `rows` (the rows of the largest feeds), or a fixed number for settings. The departures
(unknown fields, other types than documented) are those that other clients have reported.
"""

from __future__ import annotations

SHARES: dict[str, float] = {
    "jpm.jobs": 1.0, "jpm.appointments": 1.0, "jpm.job-history": 1.0, "jpm.job-notes": 0.6, "jpm.project-notes": 0.1,
    "jpm.projects": 0.1, "jpm.job-canceled-logs": 0.1, "jpm.jobs.cancel-reasons": 0.1, "jpm.jobs.booked-log": 1.0,
    "accounting.invoices": 1.0, "accounting.invoice-items": 1.0, "accounting.payments": 0.8, "accounting.invoices.tasks": 0.4,
    "accounting.inventory-bills": 0.1, "accounting.ap-bills": 0.1, "accounting.journal-entries": 0.1,
    "accounting.journal-entries.details": 0.4, "accounting.journal-entries.summary": 0.2, "accounting.bank-deposits": 0.05,
    "accounting.bank-deposits.transactions": 0.2, "accounting.credit-memos": 0.05, "accounting.credit-memos.credit-memo-items": 0.1,
    "crm.customers": 0.5, "crm.customers.contacts": 0.8, "crm.customers.notes": 0.3, "crm.locations": 0.6, "crm.locations.contacts": 0.8,
    "crm.locations.notes": 0.3, "crm.leads": 0.2, "crm.leads.notes": 0.1, "crm.bookings": 0.2, "crm.bookings.contacts": 0.3,
    "crm.contacts": 0.4, "crm.contacts.contact-methods": 0.6, "crm.contacts.relationships": 0.4,
    "customer-interactions.technician-ratings": 0.3, "dispatch.appointment-assignments": 1.0, "dispatch.non-job-appointments": 0.1,
    "dispatch.technician-shifts": 0.2, "equipmentsystems.installed-equipment": 0.4, "findings.location-findings": 0.1,
    "findings.location-findings.attachments": 0.2, "forms.submissions": 0.2, "forms.jobs.attachments": 0.3,
    "inventory.adjustments": 0.1, "inventory.purchase-orders": 0.2, "inventory.returns": 0.1, "inventory.transfers": 0.1,
    "inventory.receipts": 0.1, "inventory.purchase-orders.requests": 0.05, "marketing.costs": 0.05,
    "marketingads.attributed-leads": 0.2, "marketingads.performance": 0.5, "marketingreputation.reviews": 0.1,
    "memberships.memberships": 0.2, "memberships.membership-status-changes": 0.3, "memberships.recurring-services": 0.2,
    "memberships.recurring-service-events": 0.5, "memberships.invoice-templates": 0.1, "payroll.gross-pay-items": 1.0,
    "payroll.jobs.splits": 0.6, "payroll.jobs.timesheets": 1.0, "payroll.non-job-timesheets": 0.2, "payroll.payroll-adjustments": 0.05,
    "payroll.payrolls": 0.05, "payroll.locations.rates": 0.1, "pricebook.equipment": 0.1, "pricebook.materials": 0.2,
    "pricebook.services": 0.1, "pricebook.clientspecificpricing": 0.02, "pricebook.discounts-and-fees": 0.02,
    "sales.estimates": 0.5, "sales.estimates.items": 0.8, "sales.opportunities": 0.2, "sales.opportunities.followups": 0.2,
    "sales.status.estimates.changes": 0.6, "schedulingpro.schedulers.sessions": 0.1, "service-agreements.service-agreements": 0.05,
    "taskmanagement.tasks": 0.1, "telecom.calls": 1.0, "telecom.optinouts.optouts": 0.02, "timesheets.activities": 0.5,
}  # fmt: skip
FIXED: dict[str, int] = {
    "settings.business-units": 12, "settings.technicians": 40, "settings.employees": 25, "settings.tag-types": 30, "settings.user-roles": 9,
    "jpm.job-types": 35, "jpm.job-cancel-reasons": 14, "jpm.job-hold-reasons": 9, "jpm.project-types": 6, "marketing.campaigns": 45,
    "payroll.payroll-settings": 40, "pricebook.categories": 61, "dispatch.zones": 18, "inventory.vendors": 60,
    "accounting.gl-accounts": 120, "memberships.membership-types": 11, "schedulingpro.schedulers": 3,
    "schedulingpro.schedulers.performance": 3, "schedulingpro.routers.sessions": 20,
    "jpm.work-breakdown-structure.segments": 4, "jpm.work-breakdown-structure.segments.items": 24,
    "jpm.work-breakdown-structure.segments.items.children": 40,
}  # fmt: skip
FIXED_DEFAULT = 15
"""Rows of a collection that is neither in SHARES nor in FIXED: settings and other small master data."""

ALIASES: dict[str, str] = {
    "jpm.jobs.notes": "jpm.job-notes", "jpm.projects.notes": "jpm.project-notes", "jpm.jobs.history": "jpm.job-history",
    "jpm.jobs.canceled-log": "jpm.job-canceled-logs", "memberships.memberships.status-changes": "memberships.membership-status-changes",
    "accounting.inventory-bills.paginated": "accounting.inventory-bills", "marketing.campaigns.costs": "marketing.costs",
    "accounting.credit-memos.items": "accounting.credit-memos.credit-memo-items", "payroll.technicians.payrolls": "payroll.payrolls",
    "payroll.employees.payrolls": "payroll.payrolls", "payroll.technicians.payroll-settings": "payroll.payroll-settings",
    "payroll.employees.payroll-settings": "payroll.payroll-settings", "crm.booking-provider.bookings": "crm.bookings",
    "crm.booking-provider.bookings.contacts": "crm.bookings.contacts", "forms.jobs.attachment": "forms.jobs.attachments",
}  # fmt: skip
"""Calls that show the records of another collection."""

PARENTS: dict[str, str] = {
    "jpm.job-notes": "jpm.jobs", "jpm.project-notes": "jpm.projects", "jpm.job-history": "jpm.jobs", "jpm.job-canceled-logs": "jpm.jobs",
    "jpm.jobs.cancel-reasons": "jpm.jobs", "jpm.jobs.booked-log": "jpm.jobs", "jpm.appointments": "jpm.jobs",
    "accounting.invoices": "jpm.jobs", "accounting.invoice-items": "accounting.invoices", "accounting.payments": "accounting.invoices",
    "accounting.credit-memos.credit-memo-items": "accounting.credit-memos", "crm.locations": "crm.customers",
    "crm.customers.contacts": "crm.customers", "crm.locations.contacts": "crm.locations", "crm.contacts.contact-methods": "crm.contacts",
    "customer-interactions.technician-ratings": "jpm.jobs", "dispatch.appointment-assignments": "jpm.appointments",
    "forms.jobs.attachments": "jpm.jobs", "memberships.membership-status-changes": "memberships.memberships",
    "marketing.costs": "marketing.campaigns", "payroll.jobs.splits": "jpm.jobs", "payroll.jobs.timesheets": "jpm.jobs",
    "payroll.payroll-settings": "settings.technicians", "payroll.payrolls": "settings.technicians",
    "payroll.locations.rates": "crm.locations", "sales.estimates": "jpm.jobs", "sales.estimates.items": "sales.estimates",
    "sales.status.estimates.changes": "sales.estimates", "equipmentsystems.installed-equipment": "crm.locations",
    "memberships.recurring-services": "memberships.memberships", "memberships.recurring-service-events": "memberships.recurring-services",
    "findings.location-findings": "crm.locations", "memberships.memberships": "crm.customers",
    "jpm.work-breakdown-structure.segments.items": "jpm.work-breakdown-structure.segments",
    "jpm.work-breakdown-structure.segments.items.children": "jpm.work-breakdown-structure.segments.items",
    "schedulingpro.schedulers.performance": "schedulingpro.schedulers",
}  # fmt: skip
"""The one collection that a row belongs to; its index there grows with the row's own."""

PREFIX_PARENTS: dict[str, str] = {"payroll.jobs": "jpm.jobs", "forms.jobs": "jpm.jobs", "payroll.technicians": "settings.technicians",
    "payroll.employees": "settings.technicians", "sales.status.estimates": "sales.estimates",
    "jpm.work-breakdown-structure.projects": "jpm.projects", "crm.booking-provider": "", "schedulingpro.routers": "",
    "reporting.report-category": ""}  # fmt: skip
"""Whose ids stand behind a path's prefix, where its name does not say it; empty: no call lists them, 1 to 9 exist."""

TWINS: dict[str, int] = {
    "crm.customers.notes": 3, "crm.locations.notes": 3, "crm.leads.notes": 2, "jpm.job-notes": 2, "accounting.invoice-items": 3,
    "accounting.invoices.tasks": 2, "accounting.journal-entries.details": 4, "accounting.bank-deposits.transactions": 4,
    "customer-interactions.technician-ratings": 2, "payroll.locations.rates": 2, "sales.estimates.items": 4,
    "sales.status.estimates.changes": 2, "payroll.jobs.splits": 2, "findings.location-findings.attachments": 3,
}  # fmt: skip
"""How many rows a parent has that has any."""

KNOWN_THROUGH: dict[str, frozenset[str]] = {
    "jpm.jobs": frozenset({
        "crm.customers", "crm.locations", "settings.business-units", "jpm.job-types", "marketing.campaigns", "jpm.projects",
    }),
    "crm.locations": frozenset({"crm.customers"}),
    "accounting.invoices": frozenset({"jpm.jobs", "crm.customers", "crm.locations", "settings.business-units"}),
    "sales.estimates": frozenset({"jpm.jobs", "crm.customers", "crm.locations", "settings.business-units"}),
    "jpm.appointments": frozenset({"jpm.jobs", "crm.customers"}),
    "memberships.memberships": frozenset({"crm.customers", "memberships.membership-types"}),
    "memberships.recurring-services": frozenset({"memberships.memberships", "crm.customers"}),
}  # fmt: skip
"""What a child takes from its parent's row, so that joins over both agree."""
THROUGH: dict[tuple[str, str], str] = {("jpm.jobs", "crm.customers"): "crm.locations"}
"""A reference of a row that follows from another one of the same row."""

_E, _T, _B = "settings.employees", "settings.technicians", "settings.business-units"
REFERENCES: dict[str, str] = {
    "jobId": "jpm.jobs", "job": "jpm.jobs", "jobIds": "jpm.jobs", "linkedJobIds": "jpm.jobs", "sourceJobId": "jpm.jobs",
    "recallForId": "jpm.jobs", "customerId": "crm.customers", "customer": "crm.customers", "locationId": "crm.locations",
    "location": "crm.locations", "customerLocation": "crm.locations", "recurringLocationId": "crm.locations",
    "locationIds": "crm.locations",
    "businessUnitId": _B, "businessUnit": _B, "businessUnitIds": _B, "payrollBusinessUnitId": _B, "technicianId": _T,
    "technicianIds": _T, "technicians": _T, "preferredTechnicianIds": _T, "preferredtechnician": _T, "appoitmentId": "jpm.appointments",
    "employeeId": _E, "createdById": _E, "modifiedById": _E, "soldById": _E, "soldBy": _E, "assignedById": _E, "canceledById": _E,
    "managerId": _E, "projectManagerIds": _E, "reportedById": _E, "assignedToId": _E, "assignedTo": _E, "campaignId": "marketing.campaigns",
    "campaign": "marketing.campaigns", "defaultCampaignId": "marketing.campaigns", "stCampaignId": "marketing.campaigns",
    "jobTypeId": "jpm.job-types", "jobTypeIds": "jpm.job-types", "projectId": "jpm.projects", "project": "jpm.projects",
    "projectTypeId": "jpm.project-types", "invoiceId": "accounting.invoices", "appliedTo": "accounting.invoices",
    "estimateId": "sales.estimates", "estimateIds": "sales.estimates", "appointmentId": "jpm.appointments",
    "firstAppointmentId": "jpm.appointments", "lastAppointmentId": "jpm.appointments", "jobAppointmentId": "jpm.appointments",
    "vendorId": "inventory.vendors", "vendor": "inventory.vendors", "primaryVendor": "inventory.vendors",
    "purchaseOrderId": "inventory.purchase-orders", "membershipId": "memberships.memberships", "leadId": "crm.leads",
    "membershipTypeId": "memberships.membership-types", "recurringServiceId": "memberships.recurring-services",
    "locationRecurringServiceId": "memberships.recurring-services", "recurringServiceTypeId": "memberships.recurring-service-types",
    "tagTypeIds": "settings.tag-types", "defaultTagTypeIds": "settings.tag-types", "bookingId": "crm.bookings", "callId": "telecom.calls",
    "leadCallId": "telecom.calls", "callReasonId": "jbce.call-reasons", "zoneId": "dispatch.zones", "mainZoneId": "dispatch.zones",
    "zoneIds": "dispatch.zones", "formId": "forms.forms", "skuId": "pricebook.services", "sku": "pricebook.services",
    "creditMemoId": "accounting.credit-memos", "taxZoneId": "accounting.tax-zones", "taxZone": "accounting.tax-zones",
    "paymentTermId": "accounting.payment-terms", "paymentTypeId": "accounting.payment-types", "reasonId": "jpm.job-cancel-reasons",
    "timesheetCodeId": "payroll.timesheet-codes", "activityCodeId": "payroll.activity-codes", "payrollId": "payroll.payrolls",
    "warehouseId": "inventory.warehouses", "roleIds": "settings.user-roles", "installedEquipmentId": "equipmentsystems.installed-equipment",
    "statusId": "jpm.project-statuses", "subStatusId": "jpm.project-substatuses", "activityTypeId": "timesheets.activity-types",
    "contactId": "crm.contacts", "invoiceTemplateId": "memberships.invoice-templates", "schedulerId": "schedulingpro.schedulers",
}  # fmt: skip
"""Fields that hold an id of another collection (or a small object around one)."""

KEYS: dict[str, tuple[str, ...]] = {
    "customer-interactions.technician-ratings": ("technicianId", "jobId"), "payroll.payroll-settings": ("employeeId",),
    "payroll.locations.rates": ("locationId", "laborTypeCode"), "jpm.job-history": ("jobId",),
    "jpm.jobs.cancel-reasons": ("jobId", "reasonId"),
    "accounting.invoices.tasks": ("taskId",), "telecom.optinouts.optouts": ("contactNumber",),
}  # fmt: skip

EXTRAS: dict[str, dict[str, object]] = {
    "jpm.jobs": {"equipmentIds": ["int64"], "isAutoDispatched": "bool", "summaryOfWork": "text?"},
    "sales.estimates": {"depositAmount": "decimal?", "depositPercent": "decimal?", "requireDepositOnSignature": "bool"},
    "jpm.appointments": {"appointmentSummaries": [{"id": "int64", "text": "text?"}]},
    "equipmentsystems.installed-equipment": {"manufacturedOn": "datetime?"},
    "pricebook.services": {"isPriceLocked": "bool"},
    "sales.opportunities": {"name": "string?", "status": "enum:Open|Won|Lost", "customerId": "int64", "estimatedValue": "decimal?"},
    "sales.opportunities.followups": {"opportunityId": "int64", "note": "text?", "dueDate": "datetime?"},
    "forms.jobs.attachments": {"fileName": "string?", "alias": "string?", "createdById": "int64"},
}
"""Fields that answers have and the documents do not."""

CORRECTIONS: dict[tuple[str, str], str] = {
    ("accounting.journal-entries", "postDate"): "civil", ("accounting.journal-entries.summary", "postDate"): "civil",
    ("accounting.journal-entries.details", "postDate"): "civil", ("service-agreements.service-agreements", "startDate"): "civil",
    ("service-agreements.service-agreements", "endDate"): "civil", ("accounting.invoice-items", "displayInAmount"): "bool",
    ("accounting.invoices", "items.displayInAmount"): "bool", ("marketingads.performance", "campaign.status"): "int32",
    ("marketingads.performance", "adGroup.status"): "int32", ("marketingads.performance", "keyword.status"): "int32",
}  # fmt: skip
"""Fields whose values are of another type than documented; `civil` is a midnight without a zone."""

UNVERIFIED = {"id": "int64", "createdOn": "datetime", "modifiedOn": "datetime", "active": "bool"}
"""What a record has at least where the documents show no shape."""

MONEY_TEXT = frozenset(
    [
        "billAmount",
        "vendorInvoiceTotal",
        "taxAmount",
        "shippingAmount",
        "cost",
        "amount",
        "total",
        "unappliedAmount",
        "appliedAmount",
        "totalCost",
        "price",
        "memberPrice",
        "discountTotal",
        "subTotal",
        "salesTax",
        "balance",
    ]
)
ALWAYS_NULL = frozenset({"externalData", "mergedToId"})
OFTEN_NULL = frozenset(
    [
        "customFields",
        "memo",
        "street",
        "city",
        "state",
        "zip",
        "country",
        "unit",
        "summary",
        "customerPo",
        "excuseMemo",
        "tag",
        "value",
        "address",
        "permissions",
        "durationBilling",
    ]
)
UNSORTED_BY_MODIFIED = frozenset({"marketing.campaigns", "pricebook.materials", "pricebook.services", "dispatch.technician-shifts"})
HIDDEN_UNLESS: dict[str, tuple[str, str]] = {"accounting.journal-entries": ("empty", "Include")}
"""Lists that leave some rows out unless this parameter has this value. What the service does without it is not documented."""

NEEDS_BOUND: dict[str, tuple[str, ...]] = {
    "/crm/v2/tenant/{tenant}/customers/contacts": ("modifiedonorafter", "modifiedbefore", "customerids"),
    "/crm/v2/tenant/{tenant}/locations/contacts": (
        "modifiedonorafter", "modifiedbefore", "createdonorafter", "createdbefore", "locationids"),
}  # fmt: skip
"""Lists that refuse to be read without one of these."""
